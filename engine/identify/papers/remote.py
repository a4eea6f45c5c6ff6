"""A registry behind gRPC (`proto/qyran/v1/registry_service.proto`), which may be slow, wrong or unreachable."""

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
"""At most this many vehicles are cached."""
FAILURES = 5
"""After this many failures in a row the service is not asked for `PAUSE_S`."""
PAUSE_S = 30.0

Papers = dict[str, PaperRecord]
"""The papers of a vehicle by kind of violation; a missing kind is unknown."""


class RemoteRegistry:
    """`stages.VehicleRegistry` over a channel, which it closes.

    Answers are cached for `cache_s`. After `FAILURES` failures in a row the circuit is open: for `PAUSE_S` every answer
    is UNKNOWN at once, then one request tries again.
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
        """State of the paper that a kind of violation is about; UNKNOWN if the service does not answer."""
        if kind not in PAPERS:
            return RegistryAnswer(Validity.UNKNOWN, detail=f"the registry has no papers for {kind}")
        try:
            papers = self._papers(plate, at_s)
        except (grpc.RpcError, pybreaker.CircuitBreakerError, ValueError) as error:
            log.warning("the registry did not answer", error=_explain(error))
            return RegistryAnswer(Validity.UNKNOWN, detail=f"the registry did not answer: {_explain(error)}")
        if kind not in papers:
            return RegistryAnswer(Validity.UNKNOWN, detail=f"the registry has no entry on {PAPERS[kind]}")
        return papers[kind].judge(kind, dt.datetime.fromtimestamp(at_s, self._zone))

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _papers(self, plate: str, at_s: float) -> Papers:
        """Cached or requested papers. Raises RpcError, CircuitBreakerError, or ValueError for an invalid answer."""
        found: Papers | None = self._kept.get(plate)
        if found is None:
            found = _read(self._breaker.call(self._look_up, plate, at_s))
            self._kept[plate] = found
        return found

    def _look_up(self, plate: str, at_s: float) -> pb.LookUpVehicleResponse:
        """Call the service. NOT_FOUND is an answer, not a failure that opens the circuit."""
        request = pb.LookUpVehicleRequest(plate=plate, country=self._country, seen_at=Timestamp(seconds=int(at_s)))
        try:
            return self._stub.LookUpVehicle(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return pb.LookUpVehicleResponse()
            raise


def _read(response: pb.LookUpVehicleResponse) -> Papers:
    if response.papers and not response.HasField("as_of"):
        raise ValueError("the service gives no time for its answer (as_of)")
    as_of = response.as_of.ToDatetime(dt.UTC)
    return {paper.kind: PaperRecord(_until(paper.valid_until), as_of, "service") for paper in response.papers}


def _until(text: str) -> Until:
    """Raises ValueError for a text that is not a date."""
    return dt.date.fromisoformat(text) if text else "none"


def _explain(error: Exception) -> str:
    return str(error.code().name) if isinstance(error, grpc.RpcError) else str(error)
