"""Data from a camera: compressed segments, then decoded frames with the appearance of the signal lamps in them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from engine.types.arrays import Bytes8, Flags, Floats, Floats32, Ints, Ints32, require, require_rows


class Clock(enum.IntEnum):
    """Source of the capture times of a segment. It decides how far they are trusted."""

    SYNCHRONISED = 1
    """The camera's UTC clock, from its RTCP sender reports (RFC 3550, 6.4.1)."""
    ARRIVAL = 2
    """The time of arrival at this host, without network jitter. It is late by the camera's own delay."""
    DECLARED = 3
    """A file. The caller declares the capture time of its first frame."""
    UNSTABLE = 4
    """The clock jumped within the last seconds. Nothing that needs time may be measured."""


class Phase(enum.IntEnum):
    """What a traffic signal shows."""

    UNKNOWN = 0
    """The phase is not known. No violation rests on it."""
    DARK = 1
    """No lamp is lit, or no lamp is visible."""
    RED = 2
    RED_AMBER = 3
    """Red and amber together. It still prohibits; green follows."""
    GREEN = 4
    GREEN_FLASHING = 5
    """It permits; amber follows."""
    AMBER = 6
    AMBER_FLASHING = 7
    """The signal does not regulate traffic."""
    RED_FLASHING = 8
    """It prohibits, as at a level crossing."""
    BARRIER_CLOSED = 9
    """A barrier is down or on its way down. Only a controller reports it."""


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Consecutive compressed packets (P) of one camera. A segment begins at a key frame and decodes by itself.

    `payload` holds the packets in decoding order, byte for byte as the camera sent them. Decoders read slices of it.
    Evidence is a remux of it (`engine.ingest.remux`), never a new encoding.
    """

    camera: int
    """Index of the camera in the running configuration."""
    sequence: int
    """Number of the segment in this process, from 0 for each camera. Dropped segments count too."""
    codec: str
    """libavcodec's name of the codec: h264, hevc, mjpeg, vp8, vp9, av1."""
    extradata: bytes
    """Out-of-band configuration of the codec (parameter sets). May be empty."""
    width_px: int
    height_px: int
    time_base: Fraction
    """Seconds per tick of `pts` and `dts`."""
    payload: bytes
    """The packets, end to end."""
    size_bytes: Ints
    """(P,) i8: length of each packet."""
    pts: Ints
    """(P,) i8: presentation time of each packet, in ticks."""
    dts: Ints
    """(P,) i8: decoding time of each packet, in ticks; strictly increasing."""
    key: Flags
    """(P,) bool: True for key frames. The first packet always is one."""
    captured_s: Floats
    """(P,) f8: capture time of each packet's frame, Unix seconds UTC. B-frames make it not ascending."""
    clock: Clock
    """Source of `captured_s`."""
    continues: bool
    """True if the segment follows the camera's segment `sequence - 1` without a gap."""

    def __post_init__(self) -> None:
        rows = len(self.size_bytes)
        require(rows > 0, "a segment holds at least one packet")
        require_rows(self, rows, "pts", "dts", "key", "captured_s")
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
    """The decoded frames (F) of a batch, without pixels. Rows of one camera ascend in capture time."""

    camera: Ints32
    """(F,) i4: index of the camera."""
    captured_s: Floats
    """(F,) f8: capture time, Unix seconds UTC."""
    size_px: Ints32
    """(F, 2) i4: width and height of the picture."""
    clock: Bytes8
    """(F,) u1: `Clock` of the frame's segment."""

    def __post_init__(self) -> None:
        require_rows(self, len(self.camera), "captured_s", "size_px", "clock")

    def __len__(self) -> int:
        return len(self.camera)


@dataclass(frozen=True, slots=True, eq=False)
class Lamps:
    """Appearance of the signal lamps in the frames of a batch: one row (L) per frame and lamp, ordered by frame."""

    frame: Ints32
    """(L,) i4: row of the batch's `frames`."""
    lamp: Ints32
    """(L,) i4: number of the lamp, counted over all signals of the camera's site in the order of the site file."""
    appearance: Floats32
    """(L, 7) f4: the columns are the properties below; nan if the lamp could not be read."""

    def __post_init__(self) -> None:
        require_rows(self, len(self.frame), "lamp", "appearance")
        require(self.appearance.shape[1] == 7, "Lamps.appearance has seven columns")

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def rgb(self) -> Floats32:
        """(L, 3) f4: mean colour of the lens without its saturated pixels, 0 to 255; nan if all are."""
        return self.appearance[:, :3]

    @property
    def value(self) -> Floats32:
        """(L,) f4: mean brightness of the lens; the brightness of a pixel is the largest of red, green and blue."""
        return self.appearance[:, 3]

    @property
    def housing(self) -> Floats32:
        """(L,) f4: mean brightness of the ring around the lens."""
        return self.appearance[:, 4]

    @property
    def cover(self) -> Floats32:
        """(L,) f4: share of the lens that is clearly brighter than the ring."""
        return self.appearance[:, 5]

    @property
    def burnt(self) -> Floats32:
        """(L,) f4: share of the lens that saturates the sensor; its colour is lost."""
        return self.appearance[:, 6]


NO_LAMPS = Lamps(np.empty(0, np.int32), np.empty(0, np.int32), np.empty((0, 7), np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class FrameBatch:
    """Input of the detector: one row (N) per region of interest of a frame."""

    frames: Frames
    pixels: Any
    """(N, 3, H, W) on the decoder's device: a NumPy array on the CPU, any object with DLPack elsewhere. The
    model card sets dtype, colour order and scaling."""
    frame: Ints32
    """(N,) i4: row of `frames` that contains the region."""
    model_to_image: Floats32
    """(N, 4) f4: scale_x, scale_y, offset_x, offset_y; image = model * scale + offset."""
    region_xyxy_px: Floats32
    """(N, 4) f4: the region in image pixels, clipped to the picture."""
    lamps: Lamps = NO_LAMPS
    """The signal lamps, of the cameras that have lamps."""

    def __post_init__(self) -> None:
        require_rows(self, len(self.frame), "model_to_image", "region_xyxy_px")
