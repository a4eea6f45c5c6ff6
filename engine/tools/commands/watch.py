"""`qyran watch`: the register's entries as JSON lines, each exactly once, across restarts of either side."""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from engine.client import QyranClient, to_json
from engine.errors import ConfigError

_TAIL_BYTES = 1 << 16


class _Sink(Protocol):
    @property
    def last_sequence(self) -> int: ...

    def write(self, line: str) -> None: ...

    def close(self) -> None: ...


class StandardOutput:
    """Lines to standard output, flushed one by one."""

    last_sequence = 0

    def close(self) -> None:
        """Standard output stays open."""

    def write(self, line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class LinesFile:
    """A file of JSON lines that knows where it stopped: a line that a crash cut off is taken away and written anew.

    Raises ConfigError where another process writes the file, or where its last line is none of ours.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o640), "r+b")
        try:
            self._lock(path)
            self.last_sequence = self._recover(path)
        except ConfigError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def write(self, line: str) -> None:
        """Append and sync a line."""
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _lock(self, path: Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"{path}: another process is writing this file") from None

    def _recover(self, path: Path) -> int:
        whole, last_line = self._last_line(self._file.seek(0, os.SEEK_END))
        last_sequence = _sequence(last_line, path) if last_line else 0
        self._file.truncate(whole)
        self._file.seek(whole)
        return last_sequence

    def _last_line(self, end: int) -> tuple[int, bytes]:
        """Where the last whole line ends, and that line."""
        reach = _TAIL_BYTES
        while True:
            begin = max(0, end - reach)
            self._file.seek(begin)
            tail = self._file.read(end - begin)
            newline = tail.rfind(b"\n")
            start = tail.rfind(b"\n", 0, max(newline, 0)) + 1
            if begin == 0 or (newline >= 0 and start > 0):
                return begin + newline + 1, tail[start:newline] if newline >= 0 else b""
            reach *= 2


def _sequence(line: bytes, path: Path) -> int:
    try:
        return int(msgspec.json.decode(line)["sequence"])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        raise ConfigError(f"{path}: the last line is not an entry of a register") from None


def follow(
    client: QyranClient, after_sequence: int, out: Path | None, kinds: tuple[str, ...], cameras: tuple[str, ...]
) -> None:
    """Write every entry after `after_sequence` (or after the last one in `out`) for ever."""
    with closing[_Sink](LinesFile(out) if out else StandardOutput()) as sink:
        for entry in client.watch(max(after_sequence, sink.last_sequence), kinds=kinds, cameras=cameras):
            sink.write(to_json(entry))
