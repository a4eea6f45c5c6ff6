"""Evidence on the client's disk: whole and verified, or not there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from engine.errors import EvidenceError
from engine.types import EvidenceFile


class EvidenceDownload:
    """One file on its way: it grows beside its place, and takes it when it is what the register describes."""

    def __init__(self, file: EvidenceFile, folder: Path) -> None:
        """Raises EvidenceError for a name that leads out of the folder."""
        self.file = file
        self._path = folder / plain(file.name)
        self._part = self._path.with_name(self._path.name + ".part")

    @property
    def is_done(self) -> bool:
        return _is(self._path, self.file)

    @property
    def there(self) -> int:
        """How much of it there is, in bytes."""
        return self._part.stat().st_size if self._part.exists() else 0

    def open(self) -> tuple[BinaryIO, int]:
        """What there is of it, to be written to, and how much that is; too much is begun anew."""
        stream = self._part.open("ab")
        if stream.tell() > self.file.size_bytes:
            stream.seek(0)
            stream.truncate()
        return stream, stream.tell()

    def add(self, stream: BinaryIO, chunk: bytes) -> None:
        """Write what has come; raises EvidenceError where a service sends more than the file has: it may never end."""
        if stream.tell() + len(chunk) > self.file.size_bytes:
            raise EvidenceError(f"{self.file.name}: the service sends more than the {self.file.size_bytes} bytes of it")
        stream.write(chunk)

    def settle(self, stream: BinaryIO) -> None:
        """Sync and close what was written; put it in its place, or away where it is not what was described."""
        stream.flush()
        os.fsync(stream.fileno())
        stream.close()
        if _is(self._part, self.file):
            self._part.replace(self._path)
        else:
            self._part.unlink()


def plain(name: str) -> str:
    """A name that stays in its folder, whatever the service says; raises EvidenceError."""
    if name in ("", ".", "..") or any(character in name for character in "/\\\0"):
        raise EvidenceError(f"{name!r} is no name of a file")
    return name


def _is(path: Path, file: EvidenceFile) -> bool:
    """Is this the file that the register describes?"""
    if not path.is_file() or path.stat().st_size != file.size_bytes:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
