"""Evidence that goes along with a case: read, verified, and no more than was agreed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.errors import SubmissionImpossible
from engine.types import Case, EvidenceFile


def contents(case: Case, root: Path, most_bytes: int) -> Mapping[str, bytes]:
    """The files that fit into `most_bytes` together, small ones first: an officer's stills before the clip.

    Raises SubmissionImpossible for a file that is gone or is not what was hashed: nothing wrong is ever sent.
    """
    return {file.name: _read(root / case.folder, case, file) for file in _fitting(case.files, most_bytes)}


def _fitting(files: Sequence[EvidenceFile], most_bytes: int) -> Sequence[EvidenceFile]:
    chosen: list[EvidenceFile] = []
    for file in sorted(files, key=lambda file: file.size_bytes):
        most_bytes -= file.size_bytes
        if most_bytes < 0:
            break
        chosen.append(file)
    return chosen


def _read(folder: Path, case: Case, file: EvidenceFile) -> bytes:
    try:
        content = (folder / file.name).read_bytes()
    except OSError as error:
        raise SubmissionImpossible(f"case {case.id}: {file.name}: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise SubmissionImpossible(f"case {case.id}: {file.name} is not what was hashed")
    return content
