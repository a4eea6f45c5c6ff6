"""Downloads of evidence: a file appears whole and verified, or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from engine.client.messages import SHORTEST_WAIT_S
from engine.errors import EvidenceError
from engine.types import EvidenceFile

ATTEMPTS = 5
"""Attempts at a file: whole but wrong ones, and broken ones in a row without progress."""


class EvidenceDownload:
    """One file. It grows as `.part` and gets its name when it matches its hash."""

    def __init__(self, source: str, file: EvidenceFile, folder: Path) -> None:
        """`source` begins error messages. Raises EvidenceError for a name that leads out of the folder."""
        self.file, self._source = file, source
        self._wrong = self._stuck = 0
        """Whole files with a wrong hash; attempts in a row without progress."""
        self._size_before = 0
        self._path = folder / plain(file.name)
        self._part = self._path.with_name(self._path.name + ".part")

    def is_needed(self) -> bool:
        """True until the whole file is there. Reads it. Raises EvidenceError after ATTEMPTS wrong files."""
        if _matches(self._path, self.file):
            return False
        if self._wrong == ATTEMPTS:
            raise EvidenceError(f"{self._source}: {self.file.name} does not match the ledger")
        self._size_before = self._size()
        return True

    def gives_up(self) -> bool:
        """Count a broken attempt. True after ATTEMPTS in a row without progress."""
        self._stuck = 1 if self._size() > self._size_before else self._stuck + 1
        return self._stuck == ATTEMPTS

    @property
    def wait_s(self) -> float:
        """Pause after a broken attempt: doubled each time."""
        return SHORTEST_WAIT_S * 2.0 ** (self._stuck - 1)

    def open(self) -> tuple[BinaryIO, int]:
        """The part, open for appending, and its size; a part that is too long begins anew."""
        stream = self._part.open("ab")
        if stream.tell() > self.file.size_bytes:
            stream.seek(0)
            stream.truncate()
        return stream, stream.tell()

    def add(self, stream: BinaryIO, chunk: bytes) -> None:
        """Append a chunk. Raises EvidenceError if the service sends more than the file has: it might never end."""
        if stream.tell() + len(chunk) > self.file.size_bytes:
            raise EvidenceError(f"{self.file.name}: the service sends more than its {self.file.size_bytes} bytes")
        stream.write(chunk)

    def settle(self, stream: BinaryIO) -> None:
        """Sync and close the part. Give it its name if it matches its hash, else delete it."""
        stream.flush()
        os.fsync(stream.fileno())
        stream.close()
        if _matches(self._part, self.file):
            self._part.replace(self._path)
        else:
            self._part.unlink()
        self._wrong += 1

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0


def plain(name: str) -> str:
    """The name, if it is a plain file name. Raises EvidenceError."""
    if name in ("", ".", "..") or any(character in name for character in "/\\\0"):
        raise EvidenceError(f"{name!r} is not a file name")
    return name


def _matches(path: Path, file: EvidenceFile) -> bool:
    """True if the file has the size and the hash of its description."""
    if not path.is_file() or path.stat().st_size != file.size_bytes:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
