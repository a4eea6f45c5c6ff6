"""A service over a real ledger, for tests and benchmarks of its clients."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import grpc
from qyran.v1 import camera_service_pb2_grpc as camera_grpc
from qyran.v1 import signal_service_pb2_grpc as signal_grpc
from qyran.v1 import violation_service_pb2_grpc as case_grpc

from engine.access import AuditLog
from engine.config import ServiceConfig
from engine.errors import NoCamera
from engine.ledger import Consumers, Decisions, SqlLedger, Token, Tokens
from engine.metrics import Metrics
from engine.serve import CaseRecords, Security, Service
from engine.serve.cameras import Cameras
from engine.signals import SignalBook
from engine.site import Site

HEARTBEAT_S, REFRESH_S = 0.3, 0.05


class NoCameras:
    """A camera manager without cameras."""

    def all(self) -> Sequence[object]:
        return []

    def get(self, name: str) -> object:
        raise NoCamera(name)


class World:
    """A ledger with evidence, the service over it and a channel to it; the service may stop and start again."""

    def __init__(
        self,
        folder: Path,
        cameras: Cameras | None = None,
        sites: Mapping[int, Site] | None = None,
        where: str = "",
        serial: str = "QY-1",
        **config: object,
    ) -> None:
        """`where`: URL of the ledger; SQLite in the folder if it is empty. `serial` as in `make_document`."""
        self.folder = folder
        self.evidence = folder / "evidence"
        self.ledger = SqlLedger(where or folder / "ledger.db")
        database = self.ledger.database
        self.records = CaseRecords(self.ledger, Consumers(database), Decisions(database), self.evidence, serial)
        self.tokens = Tokens(database)
        self.looks, read_all = 0, self.tokens.all

        def count_looks() -> Sequence[Token]:
            self.looks += 1
            return read_all()

        self.tokens.all = count_looks  # type: ignore[method-assign]
        self.metrics = Metrics()
        self.cameras = cameras or NoCameras()
        names = {index: site.name for index, site in (sites or {}).items()}
        self.signals = SignalBook(sites or {}, names, self.metrics)
        self._config = {"listen": "127.0.0.1:0", "heartbeat_s": HEARTBEAT_S, **config}
        self.start()
        self.channel = grpc.insecure_channel(self.address)
        self.stub = case_grpc.ViolationServiceStub(self.channel)
        self.signal_stub = signal_grpc.SignalServiceStub(self.channel)
        self.camera_stub = camera_grpc.CameraServiceStub(self.channel)

    def start(self) -> None:
        security = Security(self.tokens, AuditLog(self.folder / "audit"))
        config = ServiceConfig(**self._config)  # type: ignore[arg-type]
        self.service = Service(self.records, self.cameras, self.signals, security, config, self.metrics, REFRESH_S)  # type: ignore[arg-type]
        self.service.start()
        self.address = self._config["listen"] = self.service.address

    def let_know(self) -> None:
        """Wait until the service knows the tokens as they stand now: a look that begins from now on has ended."""
        known = self.looks + 2
        assert eventually(lambda: self.looks >= known), "the service does not look at the tokens"

    def stop(self) -> None:
        self.service.stop(grace_s=0.1)

    def close(self) -> None:
        self.channel.close()
        self.stop()
        self.ledger.close()

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


def eventually(condition: Callable[[], bool], within_s: float = 10.0) -> bool:
    """Wait until the condition is true; False if it is not in time."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.02)
    return True
