"""The calls of the ViolationService: check the request, read the register or the evidence, answer."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import grpc
import structlog
from qyran.v1 import violation_service_pb2 as pb
from qyran.v1 import violation_service_pb2_grpc as pb_grpc

from engine import wire
from engine.errors import EvidenceError, RegisterError
from engine.register import Filter, SqlRegister
from engine.serve import requests
from engine.serve.news import News
from engine.serve.requests import BadRequest
from engine.types import Entry, EvidenceFile

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")
Context = grpc.aio.ServicerContext[Any, Any]

PAGE = 32
"""Entries that a watcher may hold in memory: a lagging one costs this much and no more."""
MADE = 256
"""Newest messages that are kept for the other watchers."""
CHUNK_BYTES = 256 * 1024


class NotThere(LookupError):
    """No such case, or no such file of it."""


class BeyondEnd(ValueError):
    """A sequence or an offset that is not reached."""


class Stopping(Exception):
    """The service ends; the client may come back."""


CODES: dict[type[Exception], grpc.StatusCode] = {
    BadRequest: grpc.StatusCode.INVALID_ARGUMENT,
    NotThere: grpc.StatusCode.NOT_FOUND,
    BeyondEnd: grpc.StatusCode.OUT_OF_RANGE,
    EvidenceError: grpc.StatusCode.DATA_LOSS,
    RegisterError: grpc.StatusCode.UNAVAILABLE,
    Stopping: grpc.StatusCode.UNAVAILABLE,
}


@asynccontextmanager
async def answered(context: Context) -> AsyncIterator[None]:
    """Turn what went wrong into the status code that the contract gives it."""
    try:
        yield
    except tuple(CODES) as error:
        code = next(code for kind, code in CODES.items() if isinstance(error, kind))
        if isinstance(error, EvidenceError | RegisterError):
            log.error("call failed", code=code.name, peer=context.peer(), error=str(error))
        await context.abort(code, str(error))


class Calls(pb_grpc.ViolationServiceServicer):
    """One method a call; the contract of each is in the .proto file."""

    def __init__(
        self, register: SqlRegister, evidence_root: Path, readers: Executor, news: News, heartbeat_s: float
    ) -> None:
        self._register = register
        self._root = evidence_root.resolve()
        self._readers = readers
        self._news = news
        self._heartbeat_s = heartbeat_s
        self._made: dict[int, pb.WatchViolationsResponse] = {}

    async def WatchViolations(  # noqa: N802 - the protocol's name
        self, request: pb.WatchViolationsRequest, context: Context
    ) -> AsyncIterator[pb.WatchViolationsResponse]:
        with self._news.watcher():
            async with answered(context):
                after = requests.cursor(request.after_sequence, "after_sequence")
                wanted = requests.filter_of(request.filter)
                last = await self._read(self._register.last_sequence)
                _reached(after, last, "after_sequence")
                async for response in self._watch(after, wanted):
                    yield response

    async def GetCase(self, request: pb.GetCaseRequest, context: Context) -> pb.GetCaseResponse:  # noqa: N802
        async with answered(context):
            entry = await self._entry(request.case_id)
        return pb.GetCaseResponse(entry=wire.entry_to_message(entry))

    async def ListCases(self, request: pb.ListCasesRequest, context: Context) -> pb.ListCasesResponse:  # noqa: N802
        async with answered(context):
            size = requests.page_size(request.page_size)
            after = requests.page_token(request.page_token)
            wanted = requests.filter_of(request.filter)
            entries = await self._read(self._register.read, after, size + 1, wanted)
        page = entries[:size]
        token = str(page[-1].sequence) if len(entries) > size else ""
        return pb.ListCasesResponse(entries=map(wire.entry_to_message, page), next_page_token=token)

    async def GetEvidence(  # noqa: N802
        self, request: pb.GetEvidenceRequest, context: Context
    ) -> AsyncIterator[pb.GetEvidenceResponse]:
        async with answered(context):
            offset = requests.cursor(request.offset, "offset")
            file, path = await self._file(request.case_id, requests.name(request.name, "name"))
            _reached(offset, file.size_bytes, "offset")
            await self._read(_check, file, path)
            yield pb.GetEvidenceResponse(file=wire.file_to_message(file))
            while chunk := await self._read(_chunk, path, offset):
                yield pb.GetEvidenceResponse(chunk=chunk)
                offset += len(chunk)

    async def _watch(self, after: int, wanted: Filter) -> AsyncIterator[pb.WatchViolationsResponse]:
        """Pages until there is no more, then heartbeats and a wait for news; for ever."""
        due_s = 0.0
        while not self._news.ended:
            last = await self._read(self._register.last_sequence)
            entries = await self._read(self._register.read, after, PAGE, wanted)
            for entry in entries:
                yield self._message(entry)
            if len(entries) == PAGE:
                after = entries[-1].sequence
                continue
            after = max([last, *(entry.sequence for entry in entries)])
            if entries or time.monotonic() >= due_s:
                yield pb.WatchViolationsResponse(heartbeat=self._heartbeat(after))
                due_s = time.monotonic() + self._heartbeat_s
            await self._news.wait(after, due_s - time.monotonic())
        raise Stopping("the service stops")

    def _message(self, entry: Entry) -> pb.WatchViolationsResponse:
        """Made once for all watchers that want it about now: a sequence never changes its content."""
        made = self._made.get(entry.sequence)
        if made is None:
            made = pb.WatchViolationsResponse(entry=wire.entry_to_message(entry))
            self._made[entry.sequence] = made
            if len(self._made) > MADE:
                del self._made[next(iter(self._made))]
        return made

    def _heartbeat(self, last_sequence: int) -> pb.Heartbeat:
        return pb.Heartbeat(
            last_sequence=last_sequence, sent_at=wire.timestamp(time.time()), interval_s=self._heartbeat_s
        )

    async def _entry(self, case_id: str) -> Entry:
        entry = await self._read(self._register.get, requests.name(case_id, "case_id"))
        if entry is None:
            raise NotThere(f"case_id: there is no case {case_id!r}")
        return entry

    async def _file(self, case_id: str, name: str) -> tuple[EvidenceFile, Path]:
        case = (await self._entry(case_id)).case
        file = next((file for file in case.files if file.name == name), None)
        if file is None:
            raise NotThere(f"name: case {case_id!r} has no file {name!r}")
        path = (self._root / case.folder / name).resolve()
        if not path.is_relative_to(self._root):
            raise EvidenceError(f"case {case_id}: {name} lies outside the evidence")
        return file, path

    async def _read(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, partial(function, *args, **kwargs))


def _reached(value: int, end: int, field: str) -> None:
    if value > end:
        raise BeyondEnd(f"{field}: {value} is beyond the end, {end}")


def _check(file: EvidenceFile, path: Path) -> None:
    """Nothing is sent that is not what was hashed; raises EvidenceError."""
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from error
    if digest != file.sha256:
        raise EvidenceError(f"{path}: is not what was hashed")


def _chunk(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            return stream.read(CHUNK_BYTES)
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from error
