"""A registry that is asked over gRPC (`proto/qyran/v1/registry_service.proto`), and may be slow, wrong or away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from time import monotonic
from zoneinfo import ZoneInfo

import grpc
import pybreaker
import structlog
from cachetools import TTLCache
from google.protobuf.timestamp_pb2 import Timestamp
from qyran.v1 import registry_service_pb2 as pb
from qyran.v1.registry_service_pb2_grpc import VehicleRegistryServiceStub

from engine.identify.papers.paper import PAPERS, PaperRecord, Until
from engine.types import RegistryAnswer, Validity

log = structlog.get_logger()

REMEMBERED = 50_000
"""Vehicles whose papers are kept."""
FAILURES = 5
"""In a row, after which nothing is asked for a while."""
PAUSE_S = 30.0
SOURCE = "the registry's service"

Papers = dict[str, PaperRecord]
"""What the service said of a vehicle, by kind; a kind that is missing is unknown."""


class RemoteRegistry:
    """`stages.VehicleRegistry` over a channel, which it closes.

    Every answer is kept for `cache_s`. After `FAILURES` in a row the circuit is open: for `PAUSE_S` every answer is
    UNKNOWN at once, then one question tries again.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        country: str,
        zone: ZoneInfo,
        *,
        timeout_s: float = 1.0,
        cache_s: float = 600.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._channel = channel
        self._stub = VehicleRegistryServiceStub(channel)
        self._country = country
        self._zone = zone
        self._timeout_s = timeout_s
        self._kept: TTLCache[str, Papers] = TTLCache(REMEMBERED, cache_s, timer=clock)
        self._breaker = pybreaker.CircuitBreaker(fail_max=FAILURES, reset_timeout=PAUSE_S)

    def ask(self, plate: str, kind: str, at_s: float) -> RegistryAnswer:
        if kind not in PAPERS:
            return RegistryAnswer(Validity.UNKNOWN, f"the registry knows nothing of {kind}")
        try:
            papers = self._papers(plate, at_s)
        except (grpc.RpcError, pybreaker.CircuitBreakerError, ValueError) as error:
            log.warning("no answer of the registry", error=_explain(error))
            return RegistryAnswer(Validity.UNKNOWN, f"the registry gave no answer: {_explain(error)}")
        if kind not in papers:
            return RegistryAnswer(Validity.UNKNOWN, f"the registry knows nothing of the {PAPERS[kind]}")
        return papers[kind].judged(kind, dt.datetime.fromtimestamp(at_s, self._zone))

    def close(self) -> None:
        self._channel.close()

    def _papers(self, plate: str, at_s: float) -> Papers:
        """Kept or asked for. Raises RpcError, CircuitBreakerError, or ValueError for an answer that is none."""
        found: Papers | None = self._kept.get(plate)
        if found is None:
            found = _read(self._breaker.call(self._look_up, plate, at_s))
            self._kept[plate] = found
        return found

    def _look_up(self, plate: str, at_s: float) -> pb.LookUpVehicleResponse:
        """A vehicle that the service does not know is an answer, and no failure of it."""
        request = pb.LookUpVehicleRequest(plate=plate, country=self._country, seen_at=Timestamp(seconds=int(at_s)))
        try:
            return self._stub.LookUpVehicle(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return pb.LookUpVehicleResponse()
            raise


def _read(response: pb.LookUpVehicleResponse) -> Papers:
    if response.papers and not response.HasField("as_of"):
        raise ValueError("the service does not say as of when")
    as_of = response.as_of.ToDatetime(dt.UTC)
    return {paper.kind: PaperRecord(_until(paper.valid_until), as_of, SOURCE) for paper in response.papers}


def _until(text: str) -> Until:
    """Raises ValueError."""
    return dt.date.fromisoformat(text) if text else "none"


def _explain(error: Exception) -> str:
    return str(error.code().name) if isinstance(error, grpc.RpcError) else str(error)
