"""Downloads of evidence: a file appears whole and verified, or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from engine.errors import EvidenceError
from engine.types import EvidenceFile


class EvidenceDownload:
    """One file. It grows as `.part` and gets its name when it matches its hash."""

    def __init__(self, file: EvidenceFile, folder: Path) -> None:
        """Raises EvidenceError for a name that leads out of the folder."""
        self.file = file
        self._path = folder / plain(file.name)
        self._part = self._path.with_name(self._path.name + ".part")

    @property
    def is_done(self) -> bool:
        """True if the whole file is there. Reads it."""
        return _matches(self._path, self.file)

    @property
    def size(self) -> int:
        """Bytes downloaded so far."""
        return self._part.stat().st_size if self._part.exists() else 0

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
