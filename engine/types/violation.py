"""What the rules find: violations, and what may become one; with the plate that identification adds."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from engine.types.arrays import BoxPx, Bytes8, require
from engine.types.seen import VehicleClass
from engine.types.stream import Clock

SAME_FRAME_S = 0.02
"""Frames of one camera that are at most this far apart are the same frame."""
Param = str | int | float | tuple[str, ...]
"""A fact of a reason."""


class Reason(msgspec.Struct, frozen=True):
    """Why an outcome is what it is, or what is missing: a code and its facts. `engine.language` makes sentences of it.

    In the code the two arguments are literals, so that a test can compare every reason with the language files.
    """

    code: str
    params: Mapping[str, Param] = {}
    """Names end in the unit. Floats are rounded to 1e-6: the last bits depend on the processor."""

    def __post_init__(self) -> None:
        plain = {name: float(round(it, 6)) if isinstance(it, float) else it for name, it in self.params.items()}
        msgspec.structs.force_setattr(self, "params", plain)


class Outcome(enum.StrEnum):
    """What is proposed for a violation."""

    FINE = "fine"
    WARNING = "warning"
    OFFICER = "officer"
    """An officer decides."""
    INDICATION = "indication"
    """Of a measured kind: the measurement may not be used for a fine."""

    @property
    def is_decided(self) -> bool:
        """True if the outcome needs no officer."""
        return self in (Outcome.FINE, Outcome.WARNING)


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where a vehicle was at one instant."""

    captured_s: float
    xyxy_px: tuple[float, float, float, float]
    position_m: tuple[float, float] | None
    """On the ground; None without a valid calibration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A measured speed against a limit; made by `engine.rules.enforcement.measurement`."""

    speed_mps: float
    sigma_mps: float
    """Combined standard uncertainty (k = 1)."""
    coverage_factor: float
    """k of the expanded uncertainty k * sigma (JCGM 100:2008, 6.2)."""
    limit_kmh: float
    tolerance_kmh: float
    enforced_kmh: int
    """floor(measured - tolerance - k * sigma): the speed that is held against the driver."""
    began_s: float
    ended_s: float
    length_m: float


@dataclass(frozen=True, slots=True)
class Plate:
    """The number plate of one vehicle, by the vote of several frames. The text is what was read, never a guess."""

    text: str
    """Upper case, without spaces; confusable characters resolved only where `form` defines letter or digit."""
    country: str
    """ISO 3166-1 alpha-2; empty if unknown. A foreign plate is kept as it was read."""
    region: str
    """The country's own code, e.g. `02` for Almaty; empty if unknown."""
    form: str
    """Name of the grammar that the text fits, e.g. `private_2012`; empty if it fits no grammar."""
    confidence: float
    """0 to 1: the calibrated probability that the whole text is right (docs/plates.md)."""
    alternatives: tuple[tuple[str, float], ...] = ()
    """Other texts with their share of the vote, the likeliest first."""
    notes: tuple[Reason, ...] = ()
    """One for every character that the form resolved."""
    frames: int = 1
    """Number of frames in which it was read."""

    def __post_init__(self) -> None:
        require(bool(self.text) and self.text == "".join(self.text.split()).upper(), f"plate {self.text!r}")
        require(0.0 <= self.confidence <= 1.0, f"plate confidence {self.confidence} is not between 0 and 1")


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """One frame of a camera, whole."""

    captured_s: float
    """Capture time of this very frame, Unix seconds UTC."""
    rgb: Bytes8
    """(H, W, 3) u1."""

    def shows(self, instant_s: float) -> bool:
        """True if this is the frame of that instant. In a neighbouring frame the vehicle is at another place."""
        return abs(self.captured_s - instant_s) <= SAME_FRAME_S


@dataclass(frozen=True, slots=True, eq=False)
class VehicleView:
    """A vehicle in one whole frame."""

    captured_s: float
    """Capture time of the frame, Unix seconds UTC."""
    rgb: Bytes8
    """(H, W, 3) u1: the frame in full resolution."""
    xyxy_px: BoxPx
    """The vehicle's box in it."""


@dataclass(frozen=True, slots=True)
class PlateSighting:
    """A plate, and the frame that shows it best."""

    plate: Plate
    captured_s: float
    """Capture time of the frame that shows it largest."""
    xyxy_px: BoxPx
    """Its box in that frame."""


class Validity(enum.Enum):
    """State of one document of a vehicle in a registry, at an instant."""

    VALID = "valid"
    EXPIRED = "expired"
    """Or never issued: the registry knows the vehicle and states that there is no such document."""
    UNKNOWN = "unknown"
    """Not in the registry, the answer is too old, or there is no answer: never leads to a case."""


@dataclass(frozen=True, slots=True)
class RegistryAnswer:
    """A registry's answer about one document of a vehicle."""

    validity: Validity
    reason: Reason | None = None
    """For the case; not None exactly if the document is EXPIRED."""
    detail: str = ""
    """Why the document is valid or its state unknown; for the log."""

    def __post_init__(self) -> None:
        require((self.reason is None) == (self.validity is not Validity.EXPIRED), "a reason belongs to EXPIRED alone")


@dataclass(frozen=True, slots=True)
class SectionProof:
    """Proof of a drive from one camera to another."""

    section: str
    entry: tuple[str, str]
    """Camera and line."""
    exit: tuple[str, str]
    length_m: float
    length_sigma_m: float
    certificate: tuple[str, float, float]
    """Number, begin and end of its validity, Unix seconds UTC."""
    files: Mapping[str, bytes]
    """Stills of both ends, content by file name; made while the recordings were kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One offence of one vehicle, before its evidence is made."""

    kind: str
    """Name of the kind in the rule catalogue, e.g. `speeding`."""
    rule: str
    """Name of the site's rule that was broken."""
    camera: int
    track: int
    class_id: VehicleClass
    began_s: float
    """The earliest instant that proves it, Unix seconds UTC."""
    ended_s: float
    """The latest instant that proves it."""
    decisive_s: float
    """The instant that the offence is dated to."""
    sightings: tuple[Sighting, ...]
    """The vehicle's positions around the offence, ascending in time; at least one."""
    instants: Mapping[str, float]
    """Instants of proof by name, e.g. {"entry": ..., "exit": ...}; each lies within the sightings."""
    measurement: Measurement | None
    """Of a measured kind; None for other kinds."""
    article: str
    """Article and part of the law, from the catalogue in force at `decisive_s`."""
    outcome: Outcome
    reasons: tuple[Reason, ...]
    """Reasons for the outcome."""
    clock: Clock
    catalogue_version: str
    plate: PlateSighting | None = None
    """Set by identification; None before it, and if no plate could be read."""
    marks: tuple[str, ...] = ()
    """Marks from the operator's lists of plates: `stolen`."""
    section: SectionProof | None = None
    """Of a drive between two cameras; None for what one camera saw."""

    def __post_init__(self) -> None:
        require(len(self.sightings) > 0, "a violation has at least one sighting")


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A vehicle that a second look (at a registry, or with a classifier) must confirm."""

    violation: Violation
    """The violation that it is if it is confirmed."""


@dataclass(frozen=True, slots=True)
class SectionCrossing:
    """A vehicle crossed the line at one end of a section: half of a drive, no offence by itself."""

    violation: Violation
    """The crossing in the form of a violation, for its plate and stills; `decisive_s` is the instant of the
    crossing."""


RuleFinding = Violation | Suspicion | SectionCrossing


@dataclass(frozen=True, slots=True)
class Findings:
    """What the rules find in one batch."""

    found: tuple[RuleFinding, ...] = ()
    """By camera, instant and track."""

    @property
    def violations(self) -> list[Violation]:
        """The proved offences."""
        return [finding for finding in self.found if isinstance(finding, Violation)]

    @property
    def suspicions(self) -> list[Suspicion]:
        """Suspicions that a second look must confirm."""
        return [finding for finding in self.found if isinstance(finding, Suspicion)]

    @property
    def crossings(self) -> list[SectionCrossing]:
        """Crossings of the lines at the ends of sections."""
        return [finding for finding in self.found if isinstance(finding, SectionCrossing)]
