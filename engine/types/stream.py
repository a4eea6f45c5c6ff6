"""From a camera: compressed segments, then frames, with the looks of the signal lamps in them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from engine.types.arrays import Bytes8, Flags, Floats, Floats32, Ints, Ints32, require, require_rows


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


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A run of one camera's compressed packets that begins at a key frame and decodes by itself.

    The packets lie end to end in `payload`, in decoding order, untouched since the camera sent them: a decoder is fed
    slices of it, and evidence is a remux of it (`engine.ingest.remux`), never a re-encoding.
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
        require(rows > 0, "a segment holds at least one packet")
        require_rows("Segment", rows, pts=self.pts, dts=self.dts, key=self.key, captured_s=self.captured_s)
        require(bool(self.key[0]), "a segment begins at a key frame")
        require(int(self.size_bytes.sum()) == len(self.payload), "Segment.size_bytes does not add up to the payload")

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
        require_rows("Frames", len(self.camera), captured_s=self.captured_s, size_px=self.size_px, clock=self.clock)

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
        require_rows("Lamps", len(self.frame), lamp=self.lamp, look=self.look)
        require(self.look.shape[1] == 7, "Lamps.look has seven columns")

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
        require_rows(
            "FrameBatch", len(self.frame), model_to_image=self.model_to_image, region_xyxy_px=self.region_xyxy_px
        )
