"""`case.json`: the whole case as the register stores it, one struct.

Times are RFC 3339 in UTC unless a field says local; speeds are km/h because that is what the law speaks of; pixels are
of the camera's image, metres on the site's ground plane. What is in here is a function of the footage, the site, the
rules and the model, and of nothing else: no time of writing, no process number. So the same offence proved twice gives
the same bytes.
"""

from __future__ import annotations

import datetime as dt

import msgspec

from engine.errors import EvidenceError
from engine.types import EvidenceFile

SCHEMA = 1
"""Raised when a field changes its meaning or goes; a new field does not raise it."""


class DocumentPart(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what stands in a document. Unknown fields are let pass: an older program reads a newer one's cases."""


class TimeRecord(DocumentPart, frozen=True):
    """When it happened."""

    occurred: dt.datetime
    """The instant the offence is dated to, capture time."""
    local: str
    """The same with the site's offset, RFC 3339."""
    timezone: str
    began: dt.datetime
    """Earliest instant that proves it."""
    ended: dt.datetime
    """Latest instant that proves it."""
    clock: str
    """How the capture times were obtained: `synchronised`, `arrival`, `declared`, `unstable`."""


class PlaceRecord(DocumentPart, frozen=True):
    """Where it happened."""

    site: str
    camera: str
    address: dict[str, str]
    """By language."""
    latitude: float | None
    longitude: float | None
    direction: str
    area: str = ""
    """District or other part of the city, from the site; empty where it names none."""


class SpeedRecord(DocumentPart, frozen=True):
    """A measured speed against a limit."""

    speed_kmh: float
    expanded_uncertainty_kmh: float
    """`coverage_factor` times the combined standard uncertainty (JCGM 100:2008, 6.2)."""
    coverage_factor: float
    limit_kmh: float
    tolerance_kmh: float
    enforced_kmh: int
    """floor(speed - tolerance - expanded uncertainty): what is held against the driver."""
    length_m: float
    began: dt.datetime
    ended: dt.datetime


class CertificateRecord(DocumentPart, frozen=True):
    number: str
    issued: dt.datetime
    expires: dt.datetime
    valid: bool
    """At the instant of the offence."""


class CalibrationRecord(DocumentPart, frozen=True):
    id: str
    made: dt.datetime
    expires: dt.datetime
    residual_m: float
    valid: bool
    """At the instant of the offence."""


class DeviceRecord(DocumentPart, frozen=True):
    """What measured, and by what right."""

    serial: str
    certificate: CertificateRecord | None
    calibration: CalibrationRecord | None
    signing_key: str | None = None
    """Id of the key that it signs its cases with; None: it has none, and nobody has signed."""


class VersionsRecord(DocumentPart, frozen=True):
    """What decided."""

    software: str
    catalogue: str
    model: str
    model_sha256: str
    runtime: str


class TrajectoryPoint(DocumentPart, frozen=True):
    """The vehicle at one instant of its way."""

    captured: dt.datetime
    xyxy_px: tuple[float, float, float, float]
    position_m: tuple[float, float] | None


class PlateReading(DocumentPart, frozen=True):
    """A text that the plate may hold as well."""

    text: str
    confidence: float


class PlateRecord(DocumentPart, frozen=True):
    """The vehicle's number plate, as it was read in several frames."""

    text: str
    """Upper case, without spaces."""
    country: str
    """ISO 3166-1 alpha-2; empty where unknown: no foreign plate is forced into a form."""
    region: str
    """The country's own code, e.g. `02`; empty where unknown."""
    form: str
    """Name of the grammar that the text fits; empty where none does."""
    confidence: float
    """The calibrated probability that the whole text is right."""
    frames: int
    """Frames in which it was read."""
    alternatives: tuple[PlateReading, ...]
    notes: tuple[str, ...]
    """What was decided while reading, a sentence each."""
    still: str | None
    """The file that shows it, cut out; None where there is none."""
    marks: tuple[str, ...]
    """What the operator's lists say of it: `stolen`, `exempt`."""


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
    """Of the section: it attests the length and both clocks."""


class Liability(DocumentPart, frozen=True):
    """Who answers for what the vehicle did."""

    article: str
    says: dict[str, str]
    """By language."""


class InstantRecord(DocumentPart, frozen=True):
    """A named instant of proof and the still that shows it."""

    name: str
    captured: dt.datetime
    still: str | None
    """Name of the file; None where there is none, and `incomplete` says why."""
    still_captured: dt.datetime | None
    """Capture time of the frame that the still shows: the nearest there is."""


class ClipRecord(DocumentPart, frozen=True):
    """The original recording around the offence."""

    file: str
    began: dt.datetime
    ended: dt.datetime


class CaseDocument(DocumentPart, frozen=True):
    """The whole file."""

    schema: int
    id: str
    kind: str
    rule: str
    article: str
    outcome: str
    """Proposed: `fine`, `warning`, `officer` or `indication`."""
    reasons: tuple[str, ...]
    """Why the outcome is what it is, one sentence each."""
    incomplete: tuple[str, ...]
    """What of the proof is missing, one sentence each."""
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
    """The stills, the drawings and the clip; the manifest holds these, this document and the reports made of it."""
    plate: PlateRecord | None = None
    """None where none was read."""
    liability: Liability | None = None
    """Of the vehicle's owner, by the law in force."""
    section: SectionRecord | None = None
    """Of a drive between two cameras; `trajectory` then holds the sightings at the entry's camera and at the exit's."""


class CaseSummary(DocumentPart, frozen=True):
    """What most readers need of a document: the rest, the long way of the vehicle too, is not looked at."""

    article: str
    outcome: str
    reasons: tuple[str, ...]
    incomplete: tuple[str, ...]
    time: TimeRecord
    place: PlaceRecord
    vehicle_class: str
    measurement: SpeedRecord | None
    plate: PlateRecord | None = None


def encode(document: CaseDocument) -> bytes:
    """UTF-8 JSON, indented for a reader's eyes, with a line's end."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


_documents, _summaries = msgspec.json.Decoder(CaseDocument), msgspec.json.Decoder(CaseSummary)


def decode(content: bytes, *, source: str) -> CaseDocument:
    """Read a `case.json`; raises EvidenceError that names `source` and the place in it."""
    try:
        return _documents.decode(content)
    except (msgspec.DecodeError, ValueError) as error:
        raise EvidenceError(f"{source}: {error}") from error


def summarise(content: bytes, *, source: str) -> CaseSummary:
    """The same, of what most readers need."""
    try:
        return _summaries.decode(content)
    except (msgspec.DecodeError, ValueError) as error:
        raise EvidenceError(f"{source}: {error}") from error


def moment(captured_s: float) -> dt.datetime:
    """Unix seconds as an aware UTC time, to the microsecond."""
    return dt.datetime.fromtimestamp(captured_s, dt.UTC)
