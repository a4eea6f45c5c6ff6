"""The audit log: every read of evidence and every change, with its caller, in append-only files that reveal tampering.

One JSON object per line, one file per day (UTC); after the clock was set back the newest file continues. Every line
holds the hash of the previous line and its own: a line that is changed, removed or moved breaks the chain. A person who
can write the files can also write a whole new chain: send the lines, or the last hash now and then, to another machine.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from engine.errors import AuditError

BEGIN = "0" * 64
"""`previous` of the first line."""


class AuditLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One call."""

    number: int
    """1, 2, 3 ... across all files."""
    at: str
    """RFC 3339, UTC, by this host's clock."""
    who: str
    """Name of the caller's credential."""
    role: str
    credential: str
    peer: str
    """Address of the caller, as gRPC writes it."""
    call: str
    subject: str
    """The case, the file or the camera of the call."""
    previous: str
    """Hash of the previous line."""
    hash: str = ""
    """SHA-256 of this line with an empty hash, lower-case hexadecimal."""

    def with_hash(self) -> AuditLine:
        """The line with its hash."""
        return msgspec.structs.replace(self, hash=_hash(self))


def _hash(line: AuditLine) -> str:
    plain = msgspec.structs.replace(line, hash="")
    return hashlib.sha256(msgspec.json.encode(plain)).hexdigest()


class AuditLog:
    """The log in a folder, which is created if it is missing. Any thread may write.

    Opening removes a line that a crash cut off: its call was never answered. Raises AuditError.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._clock = folder, clock
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._number, self._last = _resume(folder)
            self._newest = max((path.stem for path in _files(folder)), default="")
        except OSError as error:
            raise AuditError(f"{folder}: {error.strerror}") from error

    def write(self, *, who: str, role: str, credential: str, peer: str, call: str, subject: str) -> None:
        """Append a line; it is synced on return. Raises AuditError; then the call must not continue."""
        with self._lock:
            now = dt.datetime.fromtimestamp(self._clock(), dt.UTC)
            line = AuditLine(
                number=self._number + 1,
                at=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                who=who,
                role=role,
                credential=credential,
                peer=peer,
                call=call,
                subject=subject,
                previous=self._last,
            ).with_hash()
            newest = max(self._newest, f"{now:%Y-%m-%d}")
            try:
                _append(self._folder / f"{newest}.jsonl", msgspec.json.encode(line) + b"\n")
            except OSError as error:
                raise AuditError(f"{self._folder}: cannot write the audit log: {error.strerror}") from error
            self._number, self._last, self._newest = line.number, line.hash, newest


def check(folder: Path) -> tuple[int, list[str]]:
    """The number of lines, and the breaks of the chain, one sentence each. Old files may be missing."""
    count, problems = 0, []
    before: AuditLine | None = None
    for path in _files(folder):
        for place, content in enumerate(path.read_bytes().splitlines(), 1):
            count += 1
            if (line := _decode(content)) is None:
                problems.append(f"{path.name}:{place}: is not a line of the log")
                continue
            problems += [f"{path.name}:{place}: {flaw}" for flaw in _flaws(line, before)]
            before = line
    return count, problems


def _flaws(line: AuditLine, before: AuditLine | None) -> Iterator[str]:
    if _hash(line) != line.hash:
        yield "was changed"
    if before is not None and (line.previous, line.number) != (before.hash, before.number + 1):
        yield f"does not follow line {before.number}"


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("????-??-??.jsonl"))


def _decode(content: bytes) -> AuditLine | None:
    try:
        return msgspec.json.decode(content, type=AuditLine)
    except msgspec.DecodeError:
        return None


def _resume(folder: Path) -> tuple[int, str]:
    """Number and hash of the last whole line; cuts off what a crash left of another one."""
    for path in reversed(_files(folder)):
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(path, whole)
        lines = content[:whole].splitlines()
        if lines:
            last = _decode(lines[-1])
            if last is None:
                raise AuditError(f"{path}: the last line is not a line of the log")
            return last.number, last.hash
    return 0, BEGIN


def _append(path: Path, content: bytes) -> None:
    """Append all of it or nothing, synced."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        end = os.lseek(descriptor, 0, os.SEEK_END)
        try:
            if os.write(descriptor, content) != len(content):
                raise OSError(28, "No space left on device")
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, end)
            raise
    finally:
        os.close(descriptor)
