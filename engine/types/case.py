"""Cases, and the entries of the ledger that records them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """One file in the folder of a case."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    """Lower-case hexadecimal SHA-256 (FIPS 180-4) of the content."""


@dataclass(frozen=True, slots=True)
class Case:
    """A violation with its evidence, as the ledger records it."""

    id: str
    """Deterministic: the same offence of the same vehicle always gets the same id, also after a restart."""
    camera: str
    """Name of the camera."""
    kind: str
    occurred_s: float
    """Instant of the offence, Unix seconds UTC."""
    document: bytes
    """`case.json`: UTF-8, the whole case."""
    files: tuple[EvidenceFile, ...] = field(compare=False)
    """All files of the evidence by name, with the document, the manifest and the seal. Equality ignores them: the
    document names the evidence by hash, and the number of a seal depends on earlier cases."""
    folder: str
    """Path of the evidence folder, relative to the evidence root."""
    area: str = ""
    """District or other part of the city; empty if the site names no area."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A case in the ledger."""

    sequence: int
    """1, 2, 3 ...: the order of appending, without gaps."""
    recorded_s: float
    """Time of appending, Unix seconds UTC of this host's clock."""
    case: Case
    removed_s: float | None = None
    """Time at which retention removed the document and the evidence; None if they still exist."""
    summary: bytes = field(default=b"", compare=False, repr=False)
    """The case's message without its document, as the ledger stores it (`wire.summarise`); empty in an entry that no
    ledger returned."""


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """The detector that made the boxes of a case."""

    name: str
    sha256: str
    runtime: str
    """For example `onnxruntime 1.22 cpu` or `tensorrt 10.13 fp16`."""
    details: Mapping[str, str] = field(default_factory=dict)
    """Other facts, for example the name of the GPU."""
