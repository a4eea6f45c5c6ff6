"""One offence: what the rules saw of it, and what the inquiry adds."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from engine.types.arrays import BoxPx, Bytes8, require
from engine.types.seen import VehicleClass
from engine.types.stream import Clock

SAME_FRAME_S = 0.02
"""Frames of one camera that are no farther apart than this are one and the same."""
DECIDED = ("fine", "warning")
"""Outcomes that need no officer."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where a vehicle was at one instant."""

    captured_s: float
    xyxy_px: tuple[float, float, float, float]
    position_m: tuple[float, float] | None
    """On the ground; None without a valid calibration."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measured speed against a limit. Enforced = floor(measured - tolerance - 3 sigma), in km/h."""

    speed_mps: float
    sigma_mps: float
    """Combined standard uncertainty (k = 1)."""
    limit_kmh: float
    tolerance_kmh: float
    enforced_kmh: int
    """The speed that is held against the driver: the lower bound after tolerance and expanded uncertainty (k = 3)."""
    began_s: float
    ended_s: float
    length_m: float


@dataclass(frozen=True, slots=True)
class Plate:
    """The number plate of one vehicle, as several frames agree on it. A text is what was read, never what should be."""

    text: str
    """Upper case, without spaces; confusable characters resolved only where `form` says letter or digit."""
    country: str
    """ISO 3166-1 alpha-2; empty where it is not known: a foreign plate is kept as it was read."""
    region: str
    """The country's own code, e.g. `02` for Almaty; empty where unknown."""
    form: str
    """Name of the grammar that the text fits, e.g. `private_2012`; empty where none does."""
    confidence: float
    """0 to 1: the calibrated probability that the whole text is right (docs/plates.md)."""
    alternatives: tuple[tuple[str, float], ...] = ()
    """Other texts with their share of the vote, the likeliest first."""
    notes: tuple[str, ...] = ()
    """What was decided while reading, a sentence each: every character that the form resolved stands here."""
    frames: int = 1
    """Frames in which it was read."""

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
        """Is it the frame of that instant? What was seen then stands elsewhere in a neighbour."""
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
    """A plate, and where it was seen best."""

    plate: Plate
    captured_s: float
    """Capture time of the frame that shows it largest."""
    xyxy_px: BoxPx
    """Where it stands in that frame."""


class Validity(enum.Enum):
    """What a registry says of one paper of a vehicle at an instant."""

    VALID = "valid"
    EXPIRED = "expired"
    """Or never issued: the registry knows the vehicle, and that it has none."""
    UNKNOWN = "unknown"
    """Not in the registry, too old an answer, or no answer: never convicts."""


@dataclass(frozen=True, slots=True)
class RegistryAnswer:
    """A registry's answer; of an expired paper with the sentence that goes into a case, else with why not."""

    validity: Validity
    says: str


@dataclass(frozen=True, slots=True)
class SectionProof:
    """What proves a drive from one camera to another, besides its violation."""

    section: str
    entry: tuple[str, str]
    """Camera and line."""
    exit: tuple[str, str]
    length_m: float
    length_sigma_m: float
    certificate: tuple[str, float, float]
    """Number, and from when to when it is in force, Unix seconds UTC."""
    files: Mapping[str, bytes]
    """Stills of both ends, made while their recordings were kept: content by name."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One offence of one vehicle, as the rules saw it and the inquiry named it, before any evidence is gathered."""

    kind: str
    """Key of the rule catalogue, e.g. `speeding`."""
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
    """The instant the offence is dated to."""
    sightings: tuple[Sighting, ...]
    """The vehicle's way through the picture around the offence, ascending in time; at least one."""
    instants: Mapping[str, float]
    """Named instants of proof, e.g. {"entry": ..., "fastest": ...}; each lies within the sightings."""
    measurement: Measurement | None
    """Of a measured kind; None for the others."""
    article: str
    """Article and part of the law, from the catalogue in force at `decisive_s`."""
    outcome: str
    """What is proposed: `fine`, `warning` or `officer`; `indication` where a measured kind may not be issued."""
    reasons: tuple[str, ...]
    """Why the outcome is what it is, one sentence each."""
    clock: Clock
    catalogue_version: str
    plate: PlateSighting | None = None
    """Of the vehicle, as the inquiry read it; None before that, and where none could be read."""
    marks: tuple[str, ...] = ()
    """What the operator's lists say of the plate: `stolen`."""
    section: SectionProof | None = None
    """Of a drive between two cameras; None for everything that one camera saw."""
    confirm: str = ""
    """A mere suspicion until the inquiry confirms it by this: `registry`, `classifier` or `section`; empty: proved."""

    def __post_init__(self) -> None:
        require(len(self.sightings) > 0, "a violation has at least one sighting")

    @property
    def is_decided(self) -> bool:
        """Needs what is proposed no officer?"""
        return self.outcome in DECIDED
