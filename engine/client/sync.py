"""The client for threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
import structlog
from qyran.v1 import camera_service_pb2_grpc as camera_grpc
from qyran.v1 import violation_service_pb2 as pb
from qyran.v1 import violation_service_pb2_grpc as pb_grpc

from engine import wire
from engine.client import messages
from engine.client.channel import ChannelSettings, Tls
from engine.client.errors import ClientClosed, code_of, error_of, is_passing, retry_s
from engine.client.files import EvidenceDownload, plain
from engine.client.following import SHORTEST_WAIT_S, WatchProgress
from engine.client.orders import CameraServicer
from engine.client.patience import SilenceTimeout
from engine.errors import EvidenceError, LedgerError
from engine.types import Entry
from engine.types.decision import Disposition, Finding, Review, Ruling

log = structlog.get_logger()

T = TypeVar("T")

DOWNLOAD_S = 300.0
"""Time-out of one attempt at one file."""
ATTEMPTS = 5
"""Of a download in a row that bring nothing, before it is given up."""


class QyranClient(CameraServicer):
    """One channel to the service. Any number of threads may use it, each its own calls.

    Every call raises CallRefused, a LedgerError, where the service refuses it or cannot be reached in time.
    """

    def __init__(
        self,
        target: str,
        *,
        token: str | Path = "",
        tls: Tls | None = None,
        timeout_s: float = 10.0,
        channel: grpc.Channel | None = None,
    ) -> None:
        """Connects when it is needed.

        target     host:port
        token      a bearer token, or the file that it is in, read anew for every call
        tls        None: plaintext, to a service on this machine
        timeout_s  deadline of every call that is not a stream
        channel    one of your own, closed with the client
        """
        self._access = ChannelSettings(target, token, tls)
        self._channel = channel or self._access.open()
        self._stub = pb_grpc.ViolationServiceStub(self._channel)
        super().__init__(camera_grpc.CameraServiceStub(self._channel))
        self._target, self._timeout_s = target, timeout_s
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every call: a running `watch` stops, any other call raises ClientClosed; from any thread."""
        self._closed.set()
        self._channel.close()

    # -- cases as they come

    def watch(
        self,
        after_sequence: int = 0,
        *,
        consumer: str = "",
        kinds: Sequence[str] = (),
        cameras: Sequence[str] = (),
        areas: Sequence[str] = (),
        occurred_from_s: float | None = None,
        occurred_to_s: float | None = None,
    ) -> Iterator[Entry]:
        """Yield the entries after a sequence in order, then those to come, each once, until `close`.

        With `consumer` it begins after what that one has acknowledged. Reconnects by itself with capped, jittered
        back-off, and goes on where it was. Raises for what no reconnect can mend: a wrong filter, a cursor of another
        register, a token that was revoked.
        """
        wanted = messages.filter_of(kinds, cameras, areas, occurred_from_s, occurred_to_s)
        following = WatchProgress(after_sequence, consumer, wanted)
        while not self._closed.is_set():
            at_least_s = 0.0
            try:
                yield from self._stream(following)
            except ClientClosed:
                return
            except grpc.RpcError as error:
                self._raise_unless_passing(error)
                log.warning("watch broken, reconnecting", target=self._target, after=following.sequence)
                at_least_s = retry_s(error)
            self._closed.wait(following.next_wait_s(at_least_s))

    def consume(self, consumer: str, *, every: int = 1, **wanted: Any) -> Iterator[Entry]:
        """`watch` for a named consumer: an entry is acknowledged when the next one is asked for.

        Where the loop's body raises or the process dies, its entry comes again. `every`: acknowledge every so many
        entries; after a crash up to so many come again. `wanted`: as in `watch`.
        """
        for number, entry in enumerate(self.watch(consumer=consumer, **wanted), 1):
            yield entry
            if number % every == 0:
                self.acknowledge(consumer, entry.sequence)

    def acknowledge(self, consumer: str, sequence: int) -> int:
        """All up to `sequence` is dealt with. Returns where the consumer stands: never less than it did."""
        request = pb.AcknowledgeRequest(consumer=consumer, sequence=sequence)
        return int(self._call(self._stub.Acknowledge, request).sequence)

    # -- cases as they are

    def get_case(self, case_id: str) -> Entry | None:
        """The entry of a case, None if there is none."""
        response = self._get(case_id)
        return response and wire.entry_from_message(response.entry)

    def get_decisions(self, case_id: str) -> tuple[Sequence[Disposition], Sequence[Review]]:
        """What registers and officers decided about a case, in the order of recording; raises where there is none."""
        return messages.decisions_of(self._call(self._stub.GetCase, pb.GetCaseRequest(case_id=case_id)))

    def list_cases(
        self,
        after_sequence: int = 0,
        *,
        kinds: Sequence[str] = (),
        cameras: Sequence[str] = (),
        areas: Sequence[str] = (),
        occurred_from_s: float | None = None,
        occurred_to_s: float | None = None,
    ) -> Iterator[Entry]:
        """Yield what the register holds now, page by page."""
        token = str(after_sequence or "")
        wanted = messages.filter_of(kinds, cameras, areas, occurred_from_s, occurred_to_s)
        while True:
            page = self._call(self._stub.ListCases, pb.ListCasesRequest(filter=wanted, page_token=token))
            yield from map(wire.entry_from_message, page.entries)
            if not (token := page.next_page_token):
                return

    def download_evidence(self, case_id: str, folder: Path | str) -> Path:
        """Bring every file of a case to `folder/<case id>/`, each verified; returns that folder.

        What is there already and is right is not brought again; a broken download goes on where it stopped. Raises
        EvidenceError for a file that is not what the register's entry says.
        """
        entry = self.get_case(case_id)
        if entry is None:
            raise LedgerError(f"{self._target}: there is no case {case_id!r}")
        target = Path(folder) / plain(case_id)
        target.mkdir(parents=True, exist_ok=True)
        for file in entry.case.files:
            self._bring(case_id, EvidenceDownload(file, target))
        return target

    # -- decisions

    def report(
        self,
        case_id: str,
        ruling: Ruling,
        *,
        report_id: str = "",
        reason: str = "",
        reference: str = "",
        decided_s: float | None = None,
    ) -> Disposition:
        """Tell what your register decided; returns it as recorded.

        Give `report_id`, your own key of this decision, and `decided_s`, and the report may be repeated after a crash:
        it is recorded once. `decided_s`: Unix seconds; now where it is not given.
        """
        request = messages.report_of(case_id, ruling, report_id, reason, reference, decided_s)
        response = self._call(self._stub.ReportDisposition, request)
        return wire.disposition_from_message(case_id, response.disposition)

    def review(
        self,
        case_id: str,
        finding: Finding,
        *,
        person: str,
        review_id: str = "",
        reason: str = "",
        supersedes: str = "",
    ) -> Review:
        """Tell what an officer decided; returns it as recorded. Raises where another review stands (`CONFLICT`)."""
        request = messages.review_of(case_id, finding, person, review_id, reason, supersedes)
        return wire.review_from_message(case_id, self._call(self._stub.ReviewCase, request).review)

    # -- inside

    def _call(self, call: Callable[..., T], request: object, timeout_s: float | None = None) -> T:
        try:
            return self._attempt(call, request, timeout_s or self._timeout_s)
        except grpc.RpcError as error:
            raise error_of(self._target, error) from error

    def _attempt(self, call: Callable[..., T], request: object, timeout_s: float) -> T:
        with self._until_closed():
            return call(request, timeout=timeout_s, wait_for_ready=True, metadata=self._access.metadata())

    @contextmanager
    def _until_closed(self) -> Iterator[None]:
        """Raises ClientClosed for what `close` ends, however gRPC puts it."""
        try:
            yield
        except (grpc.RpcError, ValueError) as error:
            if self._closed.is_set():
                raise ClientClosed(self._target) from error
            raise

    def _get(self, case_id: str) -> pb.GetCaseResponse | None:
        try:
            return self._attempt(self._stub.GetCase, pb.GetCaseRequest(case_id=case_id), self._timeout_s)
        except grpc.RpcError as error:
            if code_of(error) is grpc.StatusCode.NOT_FOUND:
                return None
            raise error_of(self._target, error) from error

    def _stream(self, following: WatchProgress) -> Iterator[Entry]:
        """One connection's worth of `watch`; raises grpc.RpcError when it breaks."""
        with self._until_closed():
            call = self._stub.WatchViolations(following.request(), metadata=self._access.metadata())
        stream = iter(call)
        with SilenceTimeout(call.cancel, following) as patience:
            while (response := self._next(patience, stream)) is not None:
                if (entry := following.hear(response)) is not None:
                    yield entry

    def _next(self, patience: SilenceTimeout, stream: Iterator[T]) -> T | None:
        with self._until_closed():
            return patience.wait_for(stream)

    def _bring(self, case_id: str, download: EvidenceDownload) -> None:
        """One file, whole and verified; else EvidenceError, or CallRefused where the service cannot be reached."""
        stuck = wrong = 0
        while not download.is_done and wrong < ATTEMPTS:
            there = download.there
            try:
                self._bring_rest(case_id, download)
                wrong += 1
            except grpc.RpcError as error:
                stuck = 1 if download.there > there else stuck + 1
                if stuck == ATTEMPTS:
                    raise error_of(self._target, error) from error
                self._raise_unless_passing(error)
                self._closed.wait(max(retry_s(error), SHORTEST_WAIT_S * 2 ** (stuck - 1)))
        if not download.is_done:
            name = download.file.name
            raise EvidenceError(f"{self._target}: case {case_id}: {name} is not what the register describes")

    def _bring_rest(self, case_id: str, download: EvidenceDownload) -> None:
        """Ask for what is missing of a file; raises grpc.RpcError when it breaks off again."""
        stream, offset = download.open()
        with stream:
            request = pb.GetEvidenceRequest(case_id=case_id, name=download.file.name, offset=offset)
            metadata = self._access.metadata()
            with self._until_closed():
                call = self._stub.GetEvidence(request, timeout=DOWNLOAD_S, wait_for_ready=True, metadata=metadata)
                for response in call:
                    download.add(stream, response.chunk)
            download.settle(stream)

    def _raise_unless_passing(self, error: grpc.RpcError) -> None:
        if not is_passing(error):
            raise error_of(self._target, error) from error
