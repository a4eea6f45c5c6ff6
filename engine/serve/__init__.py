"""The gRPC services over the ledger, the evidence, the cameras and the signals (`proto/qyran/v1` is the contract).

grpc.aio on one thread: a watcher costs a coroutine instead of a thread, so hundreds of idle watchers cost
nothing, and HTTP/2's flow control suspends the coroutine of a slow reader at its current page. Functions that block on
the disk run on a few threads beside the loop. Every call passes the `interceptor`.

The gRPC package, the service `RegisterService` and the reason REGISTER_UNAVAILABLE keep their released names; the last
one means the ledger.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from qyran.v1 import camera_service_pb2 as camera_pb
from qyran.v1 import camera_service_pb2_grpc as camera_pb_grpc
from qyran.v1 import signal_service_pb2 as signal_pb
from qyran.v1 import signal_service_pb2_grpc as signal_pb_grpc
from qyran.v1 import violation_service_pb2 as pb
from qyran.v1 import violation_service_pb2_grpc as pb_grpc

from engine.access import AuditLog
from engine.config import ServiceConfig, is_loopback, split_address
from engine.errors import ConfigError, LedgerError
from engine.ledger import Tokens
from engine.metrics import Metrics
from engine.serve.cameras import Cameras, CameraServicer
from engine.serve.feed import Feed
from engine.serve.identity import CallerDirectory
from engine.serve.interceptor import AccessInterceptor
from engine.serve.signals import SignalServicer
from engine.serve.tls import Certificates
from engine.serve.violations import CaseRecords, ViolationServicer
from engine.signals import SignalBook

__all__ = ["SERVICE", "CaseRecords", "Security", "Service"]

log = structlog.get_logger()

READERS = 4
"""Threads that read the disk for all clients."""
REFRESH_S = 1.0
"""Interval of reading tokens and consumers."""
SERVICE = pb.DESCRIPTOR.services_by_name["ViolationService"].full_name
CAMERA_SERVICE = camera_pb.DESCRIPTOR.services_by_name["CameraService"].full_name
SIGNAL_SERVICE = signal_pb.DESCRIPTOR.services_by_name["SignalService"].full_name


@dataclass(frozen=True, slots=True)
class Security:
    """The credentials of callers, and the log of their calls."""

    tokens: Tokens
    audit: AuditLog


class Service:
    """The services, running between `start` and `stop` on their own thread."""

    def __init__(
        self,
        records: CaseRecords,
        cameras: Cameras,
        signals: SignalBook,
        security: Security,
        config: ServiceConfig,
        metrics: Metrics,
        refresh_s: float = REFRESH_S,
    ) -> None:
        """Raises ConfigError for an address that needs TLS or `insecure_listen`, and for wrong certificates."""
        self._host = _checked_host(config)
        self._certificates = Certificates(config.tls, metrics) if config.tls else None
        self._directory = CallerDirectory(encrypted=config.tls is not None)
        self._records, self._cameras, self._signals, self._security = records, cameras, signals, security
        self._config, self._metrics, self._refresh_s = config, metrics, refresh_s
        self._stop = threading.Event()
        self._bound: concurrent.futures.Future[int] = concurrent.futures.Future()
        self._grace_s = 0.0
        self._thread = threading.Thread(target=self._run, name="service", daemon=True)

    def start(self) -> None:
        """Listen. Raises ConfigError if the address cannot be bound, LedgerError if the tokens cannot be read."""
        self._directory.update(self._security.tokens.all())
        self._thread.start()
        log.info("service listens", address=self.address, encrypted=self._certificates is not None)

    @property
    def address(self) -> str:
        """`host:port` as bound. Blocks until then; raises ConfigError if it cannot be bound."""
        return f"{self._host}:{self._bound.result()}"

    def stop(self, grace_s: float = 2.0) -> None:
        """End every watch with UNAVAILABLE, give other calls `grace_s`, then close. Blocks until it is closed."""
        self._grace_s = grace_s
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._bound.done():
                raise
            self._bound.set_exception(error)

    async def _serve(self) -> None:
        with _threads("reader", READERS + 1) as readers, _threads("audit") as writers, _threads("orders") as orders:
            interceptor = AccessInterceptor(
                self._directory, self._config.limits, self._security.audit, self._metrics, writers
            )
            server = grpc.aio.server(interceptors=(interceptor,), options=_options(self._config))
            feed = Feed(self._records.ledger, readers, self._metrics)
            heartbeat_s, require_valid = self._config.heartbeat_s, self._directory.require_valid
            violations = ViolationServicer(self._records, feed, self._metrics, heartbeat_s, require_valid)
            pb_grpc.add_ViolationServiceServicer_to_server(violations, server)
            camera_pb_grpc.add_CameraServiceServicer_to_server(CameraServicer(self._cameras, orders), server)
            signal_pb_grpc.add_SignalServiceServicer_to_server(SignalServicer(self._signals, require_valid), server)
            health_servicer = await _add_standard_services(server)
            self._bound.set_result(await self._listen(server))
            tasks = [asyncio.create_task(feed.follow()), asyncio.create_task(self._refresh(feed))]
            await asyncio.to_thread(self._stop.wait)
            await health_servicer.enter_graceful_shutdown()
            feed.end()
            await server.stop(self._grace_s)
            await asyncio.gather(*tasks)

    async def _refresh(self, feed: Feed) -> None:
        """Keep the tokens and the metrics of the consumers up to date until the feed ends."""
        while not feed.ended:
            try:
                self._directory.update(await feed.read(self._security.tokens.all))
                for consumer in await feed.read(self._records.consumers.all):
                    lag = max(0, feed.last - consumer.acknowledged)
                    self._metrics.consumer_lag.labels(consumer.name).set(lag)
            except LedgerError as error:
                log.error("tokens cannot be read, the known tokens stay valid", error=str(error))
            except Exception:
                log.exception("tokens could not be read, the known tokens stay valid")
            await feed.pause(self._refresh_s)

    async def _listen(self, server: grpc.aio.Server) -> int:
        listen = self._config.listen
        try:
            if self._certificates is None:
                port = server.add_insecure_port(listen)
            else:
                port = server.add_secure_port(listen, self._certificates.credentials())
            await server.start()
        except RuntimeError as error:
            raise ConfigError(f"service.listen: cannot listen on {listen}: {error}") from error
        return port


def _threads(name: str, count: int = 1) -> ThreadPoolExecutor:
    """Threads beside the loop."""
    return ThreadPoolExecutor(count, thread_name_prefix=f"service {name}")


def _options(config: ServiceConfig) -> tuple[tuple[str, int], ...]:
    """A port belongs to one service; a dead peer is noticed; a request is small."""
    keepalive_ms = int(config.keepalive_s * 1000)
    return (
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_time_ms", keepalive_ms),
        ("grpc.keepalive_timeout_ms", max(1, keepalive_ms // 3)),
        ("grpc.http2.ping_timeout_ms", max(1, keepalive_ms // 3)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.max_receive_message_length", 5 * 1024 * 1024),
    )


def _checked_host(config: ServiceConfig) -> str:
    """The host to listen on. Raises ConfigError for plaintext beyond loopback without `insecure_listen`."""
    host, _ = split_address(config.listen, source="service.listen")
    if not (config.tls or is_loopback(host) or config.insecure_listen):
        raise ConfigError(
            f"service.listen: {host} can be reached from the network and nothing would be encrypted; set service.tls, "
            "listen on 127.0.0.1, or set service.insecure_listen = true inside a trusted network"
        )
    return host


async def _add_standard_services(server: grpc.aio.Server) -> Any:
    """Health (github.com/grpc/grpc/blob/master/doc/health-checking.md) and reflection; returns the health servicer."""
    servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    for name in (SERVICE, CAMERA_SERVICE, SIGNAL_SERVICE):
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    names = (SERVICE, CAMERA_SERVICE, SIGNAL_SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    return servicer
