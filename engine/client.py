"""A client of the register's service, for those who take the cases: `with QyranClient("127.0.0.1:50151") as qyran:`.

    for entry in qyran.watch(after_sequence=last_dealt_with):
        deal_with(entry)                    # an engine.types.Entry
        save(entry.sequence)                # where to go on after a restart

Delivery is at least once across a restart of the client, exactly once within one `watch`: key your own table by
`entry.case.id`.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import grpc
import msgspec
import structlog
from qyran.v1 import violation_service_pb2 as pb
from qyran.v1 import violation_service_pb2_grpc as pb_grpc

from engine import document, wire
from engine.errors import EvidenceError, RegisterError
from engine.types import Entry, EvidenceFile

log = structlog.get_logger()

T = TypeVar("T")

OPTIONS = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
)
PASSING = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
)
"""What may be gone the next time one asks."""
SHORTEST_WAIT_S, LONGEST_WAIT_S = 0.2, 10.0
DOWNLOAD_S = 300.0
"""Time-out of one attempt at one file."""
ATTEMPTS = 5
"""Of a download, before it is given up."""
INTERVAL_S = 10.0
"""Taken for the interval of heartbeats until the first one has told it."""
GRACE_S = 5.0
"""A watch is given up when it was silent for three intervals and this."""


@dataclass(slots=True)
class _Cursor:
    """Where a watch stands."""

    sequence: int
    heard: bool = False
    """Anything at all, on this connection."""


class QyranClient:
    """One channel to the service. Any number of threads may use it, each its own calls."""

    def __init__(self, target: str, *, timeout_s: float = 10.0, channel: grpc.Channel | None = None) -> None:
        """`target` is host:port; `channel` brings credentials of your own and is closed with the client."""
        self._channel = channel or grpc.insecure_channel(target, options=OPTIONS)
        self._stub = pb_grpc.ViolationServiceStub(self._channel)
        self._target = target
        self._timeout_s = timeout_s
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every call: a running `watch` stops; from any thread."""
        self._closed.set()
        self._channel.close()

    def watch(
        self, after_sequence: int = 0, *, kinds: Sequence[str] = (), cameras: Sequence[str] = ()
    ) -> Iterator[Entry]:
        """Yield the entries after a sequence in order, then those to come, each once, until `close`.

        Reconnects by itself with capped, jittered back-off, and goes on where it was. Raises RegisterError for what no
        reconnect can mend: a wrong filter, a cursor of another register.
        """
        cursor = _Cursor(after_sequence)
        wait_s = SHORTEST_WAIT_S
        while not self._closed.is_set():
            cursor.heard = False
            try:
                yield from self._stream(cursor, pb.EntryFilter(kinds=kinds, cameras=cameras))
            except grpc.RpcError as error:
                if not self._closed.is_set():
                    self._raise_unless_passing(error)
                    log.warning("watch broken, reconnecting", target=self._target, after=cursor.sequence)
            wait_s = SHORTEST_WAIT_S if cursor.heard else min(2 * wait_s, LONGEST_WAIT_S)
            self._closed.wait(wait_s * random.uniform(0.5, 1.0))

    def get_case(self, case_id: str) -> Entry | None:
        """The entry of a case, None if there is none. Raises RegisterError."""
        request = pb.GetCaseRequest(case_id=case_id)
        try:
            response = self._stub.GetCase(request, timeout=self._timeout_s, wait_for_ready=True)
        except grpc.RpcError as error:
            if _code(error) is grpc.StatusCode.NOT_FOUND:
                return None
            raise self._error(error) from error
        return wire.entry_from_message(response.entry)

    def list_cases(
        self, after_sequence: int = 0, *, kinds: Sequence[str] = (), cameras: Sequence[str] = ()
    ) -> Iterator[Entry]:
        """Yield what the register holds now, page by page. Raises RegisterError."""
        token = str(after_sequence or "")
        wanted = pb.EntryFilter(kinds=kinds, cameras=cameras)
        while True:
            request = pb.ListCasesRequest(filter=wanted, page_token=token)
            try:
                page = self._stub.ListCases(request, timeout=self._timeout_s, wait_for_ready=True)
            except grpc.RpcError as error:
                raise self._error(error) from error
            yield from map(wire.entry_from_message, page.entries)
            if not (token := page.next_page_token):
                return

    def download_evidence(self, case_id: str, folder: Path | str) -> Path:
        """Bring every file of a case to `folder/<case id>/`, each verified; returns that folder.

        What is there already and is right is not brought again; a broken download goes on where it stopped. Raises
        EvidenceError for a file that is not what the register's entry says, RegisterError when the service fails.
        """
        entry = self.get_case(case_id)
        if entry is None:
            raise RegisterError(f"{self._target}: there is no case {case_id!r}")
        target = Path(folder) / _plain(case_id)
        target.mkdir(parents=True, exist_ok=True)
        for file in entry.case.files:
            self._bring(case_id, file, target / _plain(file.name))
        return target

    def _stream(self, cursor: _Cursor, wanted: pb.EntryFilter) -> Iterator[Entry]:
        """One connection's worth of `watch`; raises grpc.RpcError when it breaks."""
        request = pb.WatchViolationsRequest(after_sequence=cursor.sequence, filter=wanted)
        call = self._stub.WatchViolations(request)
        messages = iter(call)
        with _Patience(call.cancel) as patience:
            while (response := patience.wait_for(messages)) is not None:
                cursor.heard = True
                if response.HasField("entry"):
                    cursor.sequence = response.entry.sequence
                    yield wire.entry_from_message(response.entry)
                else:
                    cursor.sequence = max(cursor.sequence, response.heartbeat.last_sequence)
                    patience.interval_s = response.heartbeat.interval_s

    def _bring(self, case_id: str, file: EvidenceFile, path: Path) -> None:
        """One file, whole and verified, or EvidenceError."""
        part = path.with_name(path.name + ".part")
        for attempt in range(ATTEMPTS):
            if _is(path, file):
                return
            try:
                self._append_rest(case_id, file, part)
            except grpc.RpcError as error:
                self._raise_unless_passing(error)
                self._closed.wait(SHORTEST_WAIT_S * 2**attempt)
                continue
            if _is(part, file):
                part.replace(path)
            else:
                part.unlink()
        if not _is(path, file):
            raise EvidenceError(f"{self._target}: case {case_id}: {file.name} is not what the register describes")

    def _append_rest(self, case_id: str, file: EvidenceFile, part: Path) -> None:
        """Ask for what is missing of a partly downloaded file; raises grpc.RpcError when it breaks off again."""
        with part.open("ab") as stream:
            if stream.tell() > file.size_bytes:
                stream.seek(0)
                stream.truncate()
            request = pb.GetEvidenceRequest(case_id=case_id, name=file.name, offset=stream.tell())
            for response in self._stub.GetEvidence(request, timeout=DOWNLOAD_S, wait_for_ready=True):
                stream.write(response.chunk)
            stream.flush()
            os.fsync(stream.fileno())

    def _raise_unless_passing(self, error: grpc.RpcError) -> None:
        if _code(error) not in PASSING:
            raise self._error(error) from error

    def _error(self, error: grpc.RpcError) -> RegisterError | EvidenceError:
        kind = EvidenceError if _code(error) is grpc.StatusCode.DATA_LOSS else RegisterError
        details = error.details() if isinstance(error, grpc.Call) else str(error)
        return kind(f"{self._target}: {_code(error).name}: {details}")


class _Patience:
    """Cancels a call at its end, or when it is waited for and stays silent for longer than its heartbeats promise."""

    def __init__(self, cancel: Callable[[], object]) -> None:
        self.interval_s = INTERVAL_S
        self._cancel = cancel
        self._waiting_since_s: float | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="patience", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self._cancel()

    def wait_for(self, messages: Iterator[T]) -> T | None:
        """The next message, None at the end."""
        self._waiting_since_s = time.monotonic()
        try:
            return next(messages, None)
        finally:
            self._waiting_since_s = None

    def _watch(self) -> None:
        while not self._done.wait(0.5):
            since_s = self._waiting_since_s
            if since_s is not None and time.monotonic() - since_s > 3 * self.interval_s + GRACE_S:
                self._cancel()


def to_json(entry: Entry) -> str:
    """One line of JSON: `sequence`, `recorded`, `folder`, `case` (the document as it is) and `files`."""
    case = entry.case
    line = {
        "sequence": entry.sequence,
        "recorded": document.moment(entry.recorded_s),
        "folder": case.folder,
        "case": msgspec.Raw(msgspec.json.format(case.document, indent=-1)),
        "files": case.files,
    }
    return msgspec.json.encode(line).decode()


def _code(error: grpc.RpcError) -> grpc.StatusCode:
    return error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN


def _is(path: Path, file: EvidenceFile) -> bool:
    """Is this the file that the register describes?"""
    if not path.is_file() or path.stat().st_size != file.size_bytes:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def _plain(name: str) -> str:
    """A name that stays in its folder, whatever the service says; raises EvidenceError."""
    if name in ("", ".", "..") or any(character in name for character in "/\\\0"):
        raise EvidenceError(f"{name!r} is no name of a file")
    return name
