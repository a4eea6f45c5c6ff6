"""The nouns that pass between the stages.

All are frozen. Until the rules they are structs of arrays: one row a frame, a box, or a track's sighting, of every
camera of the batch at once. Shapes are written as (ROWS, ...), dtypes as NumPy's short names, and every field says its
unit and frame. Frames of reference:

image     pixels of the camera's own picture, x right, y down, (0, 0) the outer corner of the first pixel
model     pixels of the detector's input
ground    metres on the site's road plane, x and y as the site's calibration lays them
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Ints32 = NDArray[np.int32]
Bytes8 = NDArray[np.uint8]
Flags = NDArray[np.bool_]

BoxPx = tuple[float, float, float, float]
"""Left, top, right, bottom in image pixels."""

KMH = 3.6
"""Kilometres an hour in one metre a second."""
SAME_FRAME_S = 0.02
"""Frames of one camera that are no farther apart than this are one and the same."""
DECIDED = ("fine", "warning")
"""Outcomes that need no officer."""

TRACK_BITS = 40
"""An identity is `camera << TRACK_BITS | number`, the number counting the camera's own tracks."""


class Clock(enum.IntEnum):
    """How the capture times of a segment were obtained, and so how far they can be trusted."""

    SYNCHRONISED = 1
    """From the camera's RTCP sender reports (RFC 3550, 6.4.1): the camera's own UTC clock."""
    ARRIVAL = 2
    """From the time of arrival at this host with the network's jitter taken out; late by the camera's delay."""
    DECLARED = 3
    """A file: the start was declared by whoever plays it."""
    UNSTABLE = 4
    """The clock has jumped within the last seconds: nothing that needs time may be measured."""


class VehicleClass(enum.IntEnum):
    """What a box holds. A person is kept as an anonymous box only: never tracked into a case, blurred in stills."""

    CAR = 0
    TRUCK = 1
    BUS = 2
    MOTORCYCLE = 3
    BICYCLE = 4
    PERSON = 5


class Measurable(enum.IntEnum):
    """Whether a speed may be stated, and if not, why."""

    YES = 0
    TOO_SHORT = 1
    """Too few sightings, too little time or too short a stretch of road."""
    TRUNCATED = 2
    """The vehicle was cut by the border of the picture."""
    OCCLUDED = 3
    """Another vehicle hid it or merged with it: the result could belong to another vehicle (OIML R 91)."""
    ACCELERATING = 4
    """The speed was not constant enough over the stretch for one number."""
    OUTSIDE = 5
    """It did not drive inside the calibrated area."""
    NOT_CALIBRATED = 6
    """The site has no calibration, or none that is valid at the capture time."""
    CLOCK_UNSTABLE = 7
    """The capture times are not trusted."""
    INCONSISTENT = 8
    """The sightings do not fit the motion of one vehicle: a switch of identity, or a detector's noise."""
    UNCERTAIN = 9
    """The stated uncertainty came out above the bound for a measurement."""
    MOVED = 10
    """The camera does not look where it looked when it was calibrated."""
    UNRECORDABLE = 11
    """Nothing can be recorded: the disk or the register refuses."""


class Phase(enum.IntEnum):
    """What a signal shows to the traffic that it is for."""

    UNKNOWN = 0
    """Nobody can tell. It never convicts."""
    DARK = 1
    """No lamp is lit, or none of them can be seen."""
    RED = 2
    RED_AMBER = 3
    """Red and amber together: still prohibits, green is about to come."""
    GREEN = 4
    GREEN_FLASHING = 5
    """Permits, and is about to end."""
    AMBER = 6
    AMBER_FLASHING = 7
    """The signal regulates nothing."""
    RED_FLASHING = 8
    """Prohibits, as at a level crossing."""
    BARRIER_CLOSED = 9
    """A barrier is down or going down; only a controller says so."""


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(what)


def _require_rows(name: str, rows: int, /, **columns: NDArray[Any]) -> None:
    for column, values in columns.items():
        if len(values) != rows:
            raise ValueError(f"{name}.{column} has {len(values)} rows, expected {rows}")


def _foot_px(xyxy_px: Floats32) -> Floats32:
    return np.stack([(xyxy_px[:, 0] + xyxy_px[:, 2]) / 2, xyxy_px[:, 3]], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A run of one camera's compressed packets that begins at a key frame and decodes by itself.

    The packets lie end to end in `payload`, in decoding order, untouched since the camera sent them: a decoder is fed
    slices of it, and evidence is a remux of it (`engine.remux`), never a re-encoding.
    """

    camera: int
    """Index of the camera in the running configuration."""
    sequence: int
    """Counts the camera's segments from 0 in this process, the dropped ones too."""
    codec: str
    """libavcodec's name of the codec: h264, hevc, mjpeg, vp8, vp9, av1."""
    extradata: bytes
    """The codec's out-of-band configuration (parameter sets); may be empty."""
    width_px: int
    height_px: int
    time_base: Fraction
    """Seconds per tick of `pts` and `dts`."""
    payload: bytes
    """The packets of the segment, end to end."""
    size_bytes: Ints
    """(P,) i8: length of every packet."""
    pts: Ints
    """(P,) i8: presentation time of every packet, in ticks."""
    dts: Ints
    """(P,) i8: decoding time of every packet, in ticks; strictly increasing."""
    key: Flags
    """(P,) bool: is it a key frame? The first one always is."""
    captured_s: Floats
    """(P,) f8: capture time of the frame that the packet holds, Unix seconds UTC. With B-frames not ascending."""
    clock: Clock
    """How `captured_s` was obtained."""
    continues: bool
    """Follows the camera's segment `sequence - 1` without a gap."""

    def __post_init__(self) -> None:
        rows = len(self.size_bytes)
        _require(rows > 0, "a segment holds at least one packet")
        _require_rows("Segment", rows, pts=self.pts, dts=self.dts, key=self.key, captured_s=self.captured_s)
        _require(bool(self.key[0]), "a segment begins at a key frame")
        _require(int(self.size_bytes.sum()) == len(self.payload), "Segment.size_bytes does not add up to the payload")

    @property
    def began_s(self) -> float:
        """Capture time of the earliest frame."""
        return float(self.captured_s.min())

    @property
    def ended_s(self) -> float:
        """Capture time of the latest frame."""
        return float(self.captured_s.max())


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """The decoded frames of a batch, without their pixels. Rows of one camera ascend in capture time."""

    camera: Ints32
    """(F,) i4: index of the camera."""
    captured_s: Floats
    """(F,) f8: capture time, Unix seconds UTC."""
    size_px: Ints32
    """(F, 2) i4: width and height of the picture."""
    clock: Bytes8
    """(F,) u1: `Clock` of the segment it came from."""

    def __post_init__(self) -> None:
        _require_rows("Frames", len(self.camera), captured_s=self.captured_s, size_px=self.size_px, clock=self.clock)

    def __len__(self) -> int:
        return len(self.camera)


@dataclass(frozen=True, slots=True, eq=False)
class Lamps:
    """What the signal lamps looked like in the frames of a batch: one row a lamp and frame, ordered by frame."""

    frame: Ints32
    """(L,) i4: row of the batch's `frames`."""
    lamp: Ints32
    """(L,) i4: which lamp, counted through the signals of the camera's site in the order of the file."""
    look: Floats32
    """(L, 7) f4, a row a lamp: the columns are named below; nan where nobody could look."""

    def __post_init__(self) -> None:
        _require_rows("Lamps", len(self.frame), lamp=self.lamp, look=self.look)
        _require(self.look.shape[1] == 7, "Lamps.look has seven columns")

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def rgb(self) -> Floats32:
        """(L, 3) f4: mean colour of the lens, 0 to 255, without its burnt pixels; nan where all of them are."""
        return self.look[:, :3]

    @property
    def value(self) -> Floats32:
        """(L,) f4: mean brightness of the lens, that of a pixel being the largest of red, green and blue."""
        return self.look[:, 3]

    @property
    def housing(self) -> Floats32:
        """(L,) f4: the same of the ring around the lens."""
        return self.look[:, 4]

    @property
    def cover(self) -> Floats32:
        """(L,) f4: share of the lens that is clearly brighter than the ring."""
        return self.look[:, 5]

    @property
    def burnt(self) -> Floats32:
        """(L,) f4: share of the lens that is white at the sensor's end, so that its colour is lost."""
        return self.look[:, 6]


NO_LAMPS = Lamps(np.empty(0, np.int32), np.empty(0, np.int32), np.empty((0, 7), np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class FrameBatch:
    """Pictures ready for the detector: one row a region of interest of a frame."""

    frames: Frames
    pixels: Any
    """(N, 3, H, W) on the decoder's device; dtype, colour order and scaling as the model card asks. A NumPy array on
    the CPU, anything that speaks DLPack elsewhere."""
    frame: Ints32
    """(N,) i4: row of `frames` that the region was cut from."""
    model_to_image: Floats32
    """(N, 4) f4: scale_x, scale_y, offset_x, offset_y; image = model * scale + offset."""
    region_xyxy_px: Floats32
    """(N, 4) f4: the region in image pixels, clipped to the picture."""
    lamps: Lamps = NO_LAMPS
    """The signal lamps of the cameras that have any."""

    def __post_init__(self) -> None:
        _require_rows(
            "FrameBatch", len(self.frame), model_to_image=self.model_to_image, region_xyxy_px=self.region_xyxy_px
        )


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Boxes of a batch, in image pixels, ordered by frame; the regions of a frame are merged already."""

    frames: Frames
    """Every frame that was looked at, those without a box too."""
    frame: Ints32
    """(D,) i4: row of `frames`, ascending."""
    xyxy_px: Floats32
    """(D, 4) f4: left, top, right, bottom in image pixels, clipped to the picture."""
    score: Floats32
    """(D,) f4: the detector's confidence, 0 to 1."""
    class_id: Ints32
    """(D,) i4: `VehicleClass`."""

    def __post_init__(self) -> None:
        _require_rows("Detections", len(self.frame), xyxy_px=self.xyxy_px, score=self.score, class_id=self.class_id)

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True, slots=True, eq=False)
class Persons:
    """Anonymous boxes of people: where somebody is in one frame, and nothing that ties two frames together.

    They have no identity and no way to get one: rules may ask whether a vehicle gave way, no case is about them.
    """

    frame: Ints32
    """(P,) i4: row of `frames`, ascending."""
    xyxy_px: Floats32
    """(P, 4) f4: the box, image pixels."""

    def __post_init__(self) -> None:
        _require_rows("Persons", len(self.frame), xyxy_px=self.xyxy_px)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def foot_px(self) -> Floats32:
        """(P, 2) f4: middle of the lower edge of the box."""
        return _foot_px(self.xyxy_px)


NOBODY = Persons(np.empty(0, np.int32), np.empty((0, 4), np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """Sightings of vehicles with identity, ordered by frame: only boxes that a detection supports, none invented."""

    frames: Frames
    frame: Ints32
    """(T,) i4: row of `frames`, ascending."""
    track: Ints
    """(T,) i8: identity (`TRACK_BITS`), never used twice in a process, by no other camera either."""
    xyxy_px: Floats32
    """(T, 4) f4: the box, image pixels."""
    score: Floats32
    """(T,) f4: confidence of the detection."""
    class_id: Ints32
    """(T,) i4: `VehicleClass` by the vote of all sightings so far."""
    ended: Ints
    """(E,) i8: identities that ended with this batch, ascending: nothing more will be said of them."""
    persons: Persons = NOBODY
    """Whom the detector saw in the frames; never tracked."""

    def __post_init__(self) -> None:
        _require_rows(
            "Tracks", len(self.frame), track=self.track, xyxy_px=self.xyxy_px, score=self.score, class_id=self.class_id
        )

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def camera(self) -> Ints32:
        """(T,) i4: the camera of every sighting."""
        return self.frames.camera[self.frame]

    @property
    def captured_s(self) -> Floats:
        """(T,) f8: the capture time of every sighting."""
        return self.frames.captured_s[self.frame]

    @property
    def foot_px(self) -> Floats32:
        """(T, 2) f4: middle of the lower edge of the box, taken as the point where the vehicle meets the road."""
        return _foot_px(self.xyxy_px)


@dataclass(frozen=True, slots=True, eq=False)
class Speeds:
    """The mean speed of every vehicle of the batch over the stretch it was seen on so far: one row a track."""

    track: Ints
    """(S,) i8: identity, ascending."""
    speed_mps: Floats
    """(S,) f8: mean speed over the stretch; nan where not measurable."""
    sigma_mps: Floats
    """(S,) f8: combined standard uncertainty of `speed_mps` (k = 1); nan where not measurable."""
    measurable: Bytes8
    """(S,) u1: `Measurable`."""
    began_s: Floats
    """(S,) f8: capture time of the first sighting of the stretch; nan where there is none."""
    ended_s: Floats
    """(S,) f8: capture time of the last sighting of the stretch; nan where there is none."""
    length_m: Floats
    """(S,) f8: length of the stretch on the ground; nan where there is none."""
    heading_rad: Floats
    """(S,) f8: direction of travel on the ground, from the x axis towards the y axis; nan where unknown."""

    def __post_init__(self) -> None:
        _require_rows(
            "Speeds",
            len(self.track),
            speed_mps=self.speed_mps,
            sigma_mps=self.sigma_mps,
            measurable=self.measurable,
            began_s=self.began_s,
            ended_s=self.ended_s,
            length_m=self.length_m,
            heading_rad=self.heading_rad,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Movement on the ground: a row for every row of `tracks`, and one speed for every track."""

    tracks: Tracks
    position_m: Floats
    """(T, 2) f8: where the foot point stands on the ground; nan where the camera has no valid calibration."""
    velocity_mps: Floats
    """(T, 2) f8: momentary velocity on the ground, smoothed over the last second; nan where unknown."""
    sigma_mps: Floats
    """(T,) f8: standard uncertainty of the momentary speed; nan where unknown."""
    speeds: Speeds
    """The measurement that may stand in a case."""
    persons_m: Floats = field(default_factory=lambda: np.empty((0, 2)))
    """(P, 2) f8: where the persons of `tracks` stand on the ground; nan where the camera has no valid calibration."""

    def __post_init__(self) -> None:
        _require_rows("Motion", len(self.tracks.persons), persons_m=self.persons_m)
        _require_rows(
            "Motion",
            len(self.tracks),
            position_m=self.position_m,
            velocity_mps=self.velocity_mps,
            sigma_mps=self.sigma_mps,
        )


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
        _require(bool(self.text) and self.text == "".join(self.text.split()).upper(), f"plate {self.text!r}")
        _require(0.0 <= self.confidence <= 1.0, f"plate confidence {self.confidence} is not between 0 and 1")


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
class Answer:
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
        _require(len(self.sightings) > 0, "a violation has at least one sighting")

    @property
    def is_decided(self) -> bool:
        """Needs what is proposed no officer?"""
        return self.outcome in DECIDED


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


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """Which detector made the boxes of a case."""

    name: str
    sha256: str
    runtime: str
    """E.g. `onnxruntime 1.22 cpu`, `tensorrt 10.13 fp16`."""
    details: Mapping[str, str] = field(default_factory=dict)
