"""`case.json`: the whole case as the ledger stores it.

Times are RFC 3339 in UTC, except fields named local; speeds are km/h, the law's unit; pixels are of the camera's image,
metres on the site's ground plane. The document depends on the footage, the site, the rules and the model alone: it has
no time of writing and no process number, so the same offence built twice gives the same bytes.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, TypeVar

import msgspec

from engine.errors import EvidenceError
from engine.types import EvidenceFile, Reason

SCHEMA = 2
"""Raised when a field changes its meaning or goes; a new field does not raise it. Schema 1 had sentences as reasons."""


class DocumentPart(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the parts of a document. Unknown fields are ignored: an older program reads a newer one's cases."""


class TimeRecord(DocumentPart, frozen=True):
    """When the offence happened."""

    occurred: dt.datetime
    """Instant that the offence is dated to, capture time."""
    local: str
    """The same instant with the site's offset, RFC 3339."""
    timezone: str
    began: dt.datetime
    """Earliest instant that proves it."""
    ended: dt.datetime
    """Latest instant that proves it."""
    clock: str
    """How the capture times were obtained: `synchronised`, `arrival`, `declared`, `unstable`."""


class PlaceRecord(DocumentPart, frozen=True):
    """Where the offence happened."""

    site: str
    camera: str
    address: dict[str, str]
    """By language."""
    latitude: float | None
    longitude: float | None
    direction: str
    area: str = ""
    """District or other part of the city; empty if the site names no area."""


class SpeedRecord(DocumentPart, frozen=True):
    """A measured speed against a limit."""

    speed_kmh: float
    expanded_uncertainty_kmh: float
    """`coverage_factor` times the combined standard uncertainty (JCGM 100:2008, 6.2)."""
    coverage_factor: float
    limit_kmh: float
    tolerance_kmh: float
    enforced_kmh: int
    """floor(speed - tolerance - expanded uncertainty)."""
    length_m: float
    began: dt.datetime
    ended: dt.datetime


class CertificateRecord(DocumentPart, frozen=True):
    """A verification certificate."""

    number: str
    issued: dt.datetime
    expires: dt.datetime
    valid: bool
    """At the instant of the offence."""


class CalibrationRecord(DocumentPart, frozen=True):
    """The camera's calibration."""

    id: str
    made: dt.datetime
    expires: dt.datetime
    residual_m: float
    valid: bool
    """At the instant of the offence."""


class DeviceRecord(DocumentPart, frozen=True):
    """The device and its papers."""

    serial: str
    certificate: CertificateRecord | None
    calibration: CalibrationRecord | None
    signing_key: str | None = None
    """Id of the key that signs its cases; None if they are not signed."""


class VersionsRecord(DocumentPart, frozen=True):
    """Versions of everything that the outcome depends on."""

    software: str
    catalogue: str
    model: str
    model_sha256: str
    runtime: str


class TrajectoryPoint(DocumentPart, frozen=True):
    """The vehicle at one instant."""

    captured: dt.datetime
    xyxy_px: tuple[float, float, float, float]
    position_m: tuple[float, float] | None


class PlateReading(DocumentPart, frozen=True):
    """Another text that the plate may hold."""

    text: str
    confidence: float


class PlateRecord(DocumentPart, frozen=True):
    """The vehicle's number plate, by the vote of several frames."""

    text: str
    """Upper case, without spaces."""
    country: str
    """ISO 3166-1 alpha-2; empty if unknown."""
    region: str
    """The country's own code, e.g. `02`; empty if unknown."""
    form: str
    """Name of the form that the text fits; empty if it fits no form."""
    confidence: float
    """Calibrated probability that the whole text is right."""
    frames: int
    """Frames in which it was read."""
    alternatives: tuple[PlateReading, ...]
    notes: tuple[Reason, ...]
    """One for every character that the form resolved."""
    still: str | None
    """File with the plate cut out; None without such a file."""
    marks: tuple[str, ...]
    """Entries of the operator's lists: `stolen`, `exempt`."""


class SectionRecord(DocumentPart, frozen=True):
    """The section that a drive was measured on."""

    name: str
    entry_camera: str
    entry_line: str
    exit_camera: str
    exit_line: str
    length_m: float
    length_sigma_m: float
    certificate: CertificateRecord
    """Of the section: it covers the length and both clocks."""


class Liability(DocumentPart, frozen=True):
    """Liability for the vehicle, by the law."""

    article: str
    says: dict[str, str]
    """By language."""


class InstantRecord(DocumentPart, frozen=True):
    """A named instant of proof and the still that shows it."""

    name: str
    captured: dt.datetime
    still: str | None
    """Name of the file; None without a still: `incomplete` has the reason."""
    still_captured: dt.datetime | None
    """Capture time of the still's frame: the nearest one available."""


class ClipRecord(DocumentPart, frozen=True):
    """The original recording around the offence."""

    file: str
    began: dt.datetime
    ended: dt.datetime


class CaseDocument(DocumentPart, frozen=True):
    """The whole `case.json`."""

    schema: int
    id: str
    kind: str
    rule: str
    article: str
    outcome: str
    """Proposed: `fine`, `warning`, `officer` or `indication`."""
    reasons: tuple[Reason, ...]
    """Why the outcome is what it is."""
    incomplete: tuple[Reason, ...]
    """What is missing from the evidence."""
    time: TimeRecord
    place: PlaceRecord
    vehicle_class: str
    measurement: SpeedRecord | None
    device: DeviceRecord
    versions: VersionsRecord
    instants: tuple[InstantRecord, ...]
    clip: ClipRecord | None
    trajectory: tuple[TrajectoryPoint, ...]
    files: tuple[EvidenceFile, ...]
    """The stills, the drawings and the clip; the manifest lists these, this document and its reports."""
    plate: PlateRecord | None = None
    """None if no plate was read."""
    liability: Liability | None = None
    """Of the vehicle's owner, by the law in force."""
    section: SectionRecord | None = None
    """Of a drive between two cameras; `trajectory` then holds the sightings of the entry's camera and of the exit's."""


class CaseSummary(DocumentPart, frozen=True):
    """The fields that most readers need. The others, such as the long trajectory, are skipped, not parsed."""

    article: str
    outcome: str
    reasons: tuple[Reason, ...]
    incomplete: tuple[Reason, ...]
    time: TimeRecord
    place: PlaceRecord
    vehicle_class: str
    measurement: SpeedRecord | None
    plate: PlateRecord | None = None


def encode(document: CaseDocument) -> bytes:
    """UTF-8 JSON, indented for human readers, with a final newline."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


_documents, _summaries = msgspec.json.Decoder(CaseDocument), msgspec.json.Decoder(CaseSummary)
_Part = TypeVar("_Part", CaseDocument, CaseSummary)


def decode(content: bytes, *, source: str) -> CaseDocument:
    """Read a `case.json` of any schema. Raises EvidenceError that names `source` and the place in it."""
    return _decode(_documents, content, source)


def summarise(content: bytes, *, source: str) -> CaseSummary:
    """Read the fields that most readers need. Raises EvidenceError like `decode`."""
    return _decode(_summaries, content, source)


def _decode(decoder: msgspec.json.Decoder[_Part], content: bytes, source: str) -> _Part:
    try:
        try:
            return decoder.decode(content)
        except msgspec.ValidationError:
            return msgspec.convert(_upgrade(msgspec.json.decode(content)), decoder.type)
    except (msgspec.DecodeError, ValueError) as error:
        raise EvidenceError(f"{source}: {error}") from error


def _upgrade(raw: Any) -> Any:
    """A document of schema 1 as one of schema 2: each sentence becomes a reason that is printed unchanged."""
    if not isinstance(raw, dict) or raw.get("schema") != 1:
        return raw
    lists = {name: _as_reasons(raw[name]) for name in ("reasons", "incomplete") if name in raw}
    plate = raw.get("plate")
    if isinstance(plate, dict) and "notes" in plate:
        plate = {**plate, "notes": _as_reasons(plate["notes"])}
    return {**raw, **lists, "plate": plate, "schema": SCHEMA}


def _as_reasons(sentences: Any) -> Any:
    """Anything but a list of strings is returned unchanged: the decoder refuses it."""
    if not isinstance(sentences, list) or not all(isinstance(one, str) for one in sentences):
        return sentences
    return [{"code": "sentence", "params": {"text": one}} for one in sentences]


def moment(captured_s: float) -> dt.datetime:
    """Unix seconds as an aware UTC time, to the microsecond."""
    return dt.datetime.fromtimestamp(captured_s, dt.UTC)
