"""The calls of the ViolationService: check the request, read the ledger or the evidence, answer."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from itertools import accumulate
from pathlib import Path
from typing import Any

import structlog
from qyran.v1 import violation_service_pb2 as pb
from qyran.v1 import violation_service_pb2_grpc as pb_grpc

from engine import wire
from engine.access import Caller
from engine.errors import EvidenceError
from engine.ledger import Consumers, Decisions, Filter, SqlLedger
from engine.metrics import Metrics
from engine.serve import requests
from engine.serve.feed import Feed
from engine.serve.interceptor import caller
from engine.serve.status import BeyondEnd, EvidenceElsewhere, ServiceStops, UnknownResource
from engine.types import Case, Entry, EvidenceFile, document

log = structlog.get_logger()

CHUNK_BYTES = 256 * 1024
PAGE_BYTES = 2 * 1024 * 1024
"""Limit of the documents in a page: most clients refuse a message beyond 4 MiB, and long cases are large."""


@dataclass(frozen=True, slots=True)
class CaseRecords:
    """The records that the service reads and writes."""

    ledger: SqlLedger
    consumers: Consumers
    decisions: Decisions
    evidence_root: Path
    device_serial: str = ""
    """Serial number of this recording system; several may share the ledger, each with its own evidence."""


class ViolationServicer(pb_grpc.ViolationServiceServicer):
    """One method per call; the contracts are in the .proto file, the permissions in `permissions`."""

    def __init__(
        self,
        records: CaseRecords,
        feed: Feed,
        metrics: Metrics,
        heartbeat_s: float,
        require_valid: Callable[[Caller], None],
    ) -> None:
        """`require_valid` raises when the credential of an admitted caller has ended."""
        self._records, self._feed, self._metrics = records, feed, metrics
        self._root = records.evidence_root.resolve()
        self._heartbeat_s = heartbeat_s
        self._require_valid = require_valid

    # -- cases

    async def WatchViolations(  # type: ignore[override]  # noqa: N802 - serialized already; the protocol's name
        self, request: pb.WatchViolationsRequest, context: Any
    ) -> AsyncIterator[pb.WatchViolationsResponse | bytes]:
        """The entries after a sequence, then heartbeats and new entries."""
        wanted = requests.filter_of(request.filter, caller().scope)
        with self._watching():
            async for message in self._watch(await self._begin(request), wanted):
                yield message

    async def Acknowledge(self, request: pb.AcknowledgeRequest, context: Any) -> pb.AcknowledgeResponse:  # noqa: N802
        """Move the cursor of a consumer forward."""
        consumer, sequence = requests.consumer(request.consumer), requests.cursor(request.sequence, "sequence")
        _require_reached(sequence, await self._read(self._records.ledger.last_sequence), "sequence")
        acknowledged = await self._read(self._records.consumers.acknowledge, consumer, caller().name, sequence)
        return pb.AcknowledgeResponse(sequence=acknowledged)

    async def GetCase(self, request: pb.GetCaseRequest, context: Any) -> pb.GetCaseResponse:  # noqa: N802
        """A case with its decisions."""
        entry = await self._entry(request.case_id)
        dispositions, reviews = await self._read(self._records.decisions.of_case, entry.case.id)
        return pb.GetCaseResponse(
            entry=wire.entry_to_message(entry),
            dispositions=map(wire.disposition_to_message, dispositions),
            reviews=map(wire.review_to_message, reviews),
        )

    async def ListCases(self, request: pb.ListCasesRequest, context: Any) -> pb.ListCasesResponse:  # noqa: N802
        """A page of entries."""
        size = requests.page_size(request.page_size)
        after = requests.page_token(request.page_token)
        wanted = requests.filter_of(request.filter, caller().scope)
        entries = await self._read(self._records.ledger.read, after, size + 1, wanted)
        page = entries[: min(size, _count_fitting(entries))]
        token = str(page[-1].sequence) if len(entries) > len(page) else ""
        return pb.ListCasesResponse(entries=map(wire.entry_to_message, page), next_page_token=token)

    # -- decisions

    async def ReportDisposition(  # noqa: N802
        self, request: pb.ReportDispositionRequest, context: Any
    ) -> pb.ReportDispositionResponse:
        """Record a register's decision."""
        disposition = requests.disposition(request, caller().name)
        await self._entry(disposition.case_id)
        recorded = await self._read(self._records.decisions.report, disposition)
        return pb.ReportDispositionResponse(disposition=wire.disposition_to_message(recorded))

    async def ReviewCase(self, request: pb.ReviewCaseRequest, context: Any) -> pb.ReviewCaseResponse:  # noqa: N802
        """Record an officer's decision."""
        review = requests.review(request, caller().name)
        await self._entry(review.case_id)
        recorded = await self._read(self._records.decisions.review, review)
        return pb.ReviewCaseResponse(review=wire.review_to_message(recorded))

    # -- evidence

    async def GetEvidence(  # noqa: N802
        self, request: pb.GetEvidenceRequest, context: Any
    ) -> AsyncIterator[pb.GetEvidenceResponse]:
        """A file of a case: its description, then its content."""
        offset = requests.cursor(request.offset, "offset")
        name, entry = requests.name(request.name, "name"), await self._entry(request.case_id)
        file, path = await self._read(self._file, entry, name)
        _require_reached(offset, file.size_bytes, "offset")
        await self._read(_require_hash, file, path)
        yield pb.GetEvidenceResponse(file=wire.file_to_message(file))
        while chunk := await self._read(_read_chunk, path, offset):
            yield pb.GetEvidenceResponse(chunk=chunk)
            offset += len(chunk)

    # -- internals

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Count one more watcher while the context lasts."""
        self._feed.watchers += 1
        self._metrics.watchers.inc()
        try:
            yield
        finally:
            self._feed.watchers -= 1
            self._metrics.watchers.dec()

    async def _begin(self, request: pb.WatchViolationsRequest) -> int:
        """The sequence that a watch begins after."""
        after = requests.cursor(request.after_sequence, "after_sequence")
        if request.consumer:
            requests.require(not after, "after_sequence", "must be 0 if a consumer is named")
            consumer = requests.consumer(request.consumer)
            after = await self._read(self._records.consumers.cursor, consumer, caller().name)
        _require_reached(after, await self._read(self._records.ledger.last_sequence), "after_sequence")
        return after

    async def _watch(self, after: int, wanted: Filter) -> AsyncIterator[pb.WatchViolationsResponse | bytes]:
        """All pages, then heartbeats and new entries; without end."""
        client, due_s = caller(), 0.0
        while not self._feed.ended:
            self._require_valid(client)
            page = await self._feed.page(after, wanted)
            for message in page.messages:
                yield message
            self._metrics.sent.inc(len(page.messages))
            after = page.reached
            if not page.is_last:
                continue
            if page.messages or time.monotonic() >= due_s:
                yield pb.WatchViolationsResponse(heartbeat=self._heartbeat(after))
                due_s = time.monotonic() + self._heartbeat_s
            await self._feed.wait(after, due_s - time.monotonic())
        raise ServiceStops()

    def _heartbeat(self, last_sequence: int) -> pb.Heartbeat:
        return pb.Heartbeat(
            last_sequence=last_sequence, sent_at=wire.timestamp(time.time()), interval_s=self._heartbeat_s
        )

    async def _entry(self, case_id: str) -> Entry:
        """The entry of a case that the caller may see."""
        entry: Entry | None = await self._read(self._records.ledger.get, requests.name(case_id, "case_id"))
        if entry is None or not caller().scope.allows(entry.case.kind, entry.case.camera, entry.case.area):
            raise UnknownResource("case_id", f"there is no case {case_id!r}", "case", case_id)
        return entry

    def _file(self, entry: Entry, name: str) -> tuple[EvidenceFile, Path]:
        """A file of a case and its path. Reads the disk."""
        case = entry.case
        if entry.removed_s is not None:
            raise UnknownResource("case_id", f"case {case.id!r} was removed by retention", "evidence", case.id)
        file = next((file for file in case.files if file.name == name), None)
        if file is None:
            raise UnknownResource("name", f"case {case.id!r} has no file {name!r}", "evidence", f"{case.id}/{name}")
        path = (self._root / case.folder / name).resolve()
        if not path.is_relative_to(self._root):
            raise EvidenceError(f"case {case.id}: {name} is outside the evidence folder")
        if not path.exists():
            self._require_own(case)
        return file, path

    def _require_own(self, case: Case) -> None:
        """Raises EvidenceElsewhere if another recording system of a shared ledger wrote the case."""
        if not self._records.ledger.database.is_shared:
            return
        serial = document.decode(case.document, source=f"case {case.id}").device.serial
        if serial != self._records.device_serial:
            raise EvidenceElsewhere(case.id, serial)

    async def _read(self, function: Callable[..., Any], /, *arguments: object) -> Any:
        return await self._feed.read(function, *arguments)


def _require_reached(value: int, end: int, field: str) -> None:
    if value > end:
        raise BeyondEnd(f"{field}: {value} is beyond the end, {end}")


def _count_fitting(entries: Sequence[Entry]) -> int:
    """The number of entries that fit into one message; at least one, however large."""
    sizes = accumulate(len(entry.case.document) for entry in entries)
    return max(1, sum(size <= PAGE_BYTES for size in sizes))


def _require_hash(file: EvidenceFile, path: Path) -> None:
    """Raises EvidenceError for a file that does not match its hash: such a file is never sent."""
    with _open(path) as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != file.sha256:
        raise EvidenceError(f"{path}: does not match its hash")


def _read_chunk(path: Path, offset: int) -> bytes:
    with _open(path) as stream:
        stream.seek(offset)
        return stream.read(CHUNK_BYTES)


@contextmanager
def _open(path: Path) -> Iterator[BufferedReader]:
    """The file, open. Raises EvidenceError."""
    try:
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror or error}") from error
