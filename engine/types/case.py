"""What goes to a register, and what a register holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """One file of a case's folder."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    """Lower-case hexadecimal SHA-256 (FIPS 180-4) of the content."""


@dataclass(frozen=True, slots=True)
class Case:
    """A violation with its proof: what goes to a register."""

    id: str
    """Deterministic: the same offence of the same vehicle always has the same id, whatever was restarted between."""
    camera: str
    """Name of the camera."""
    kind: str
    occurred_s: float
    """Instant the offence is dated to, Unix seconds UTC."""
    document: bytes
    """`case.json`: UTF-8, the whole case as the register stores it."""
    files: tuple[EvidenceFile, ...] = field(compare=False)
    """Every file of the evidence, by name: the document, the manifest and the seal included. Two cases are not
    told apart by them: the document names what proves it by hash, and a seal's number depends on what came before."""
    folder: str
    """Path of the evidence folder, relative to the evidence root."""
    area: str = ""
    """District or other part of the city; empty where the site names none."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A case as the register holds it."""

    sequence: int
    """1, 2, 3 ...: the order of appending, without holes."""
    recorded_s: float
    """When it was appended, Unix seconds UTC of this host's clock."""
    case: Case
    removed_s: float | None = None
    """When retention removed its document and evidence; None: they are there."""
    summary: bytes = field(default=b"", compare=False, repr=False)
    """The case's message without its document, as the ledger stores it (`wire.summarise`); empty in an entry that no
    ledger returned."""


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """Which detector made the boxes of a case."""

    name: str
    sha256: str
    runtime: str
    """E.g. `onnxruntime 1.22 cpu`, `tensorrt 10.13 fp16`."""
    details: Mapping[str, str] = field(default_factory=dict)
