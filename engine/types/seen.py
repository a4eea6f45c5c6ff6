"""Objects in the frames: boxes, then boxes with an identity."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from engine.types.arrays import Floats, Floats32, Ints, Ints32, require_rows
from engine.types.stream import Frames

TRACK_BITS = 40
"""An identity is `camera << TRACK_BITS | number`. The number counts the tracks of the camera."""


class VehicleClass(enum.IntEnum):
    """Class of a box. Persons stay anonymous boxes: they are never tracked, and stills blur them."""

    CAR = 0
    TRUCK = 1
    BUS = 2
    MOTORCYCLE = 3
    BICYCLE = 4
    PERSON = 5


def foot_px(xyxy_px: Floats32) -> Floats32:
    """(N, 2) f4: middle of the lower edge of each box (N, 4), image pixels."""
    return np.stack([(xyxy_px[:, 0] + xyxy_px[:, 2]) / 2, xyxy_px[:, 3]], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Boxes (D) of a batch, ordered by frame. Duplicates from overlapping regions are already removed."""

    frames: Frames
    """All frames that the detector received, including frames without a box."""
    frame: Ints32
    """(D,) i4: row of `frames`, ascending."""
    xyxy_px: Floats32
    """(D, 4) f4: left, top, right, bottom in image pixels, clipped to the picture."""
    score: Floats32
    """(D,) f4: the detector's confidence, 0 to 1."""
    class_id: Ints32
    """(D,) i4: `VehicleClass`."""

    def __post_init__(self) -> None:
        require_rows(self, len(self.frame), "xyxy_px", "score", "class_id")

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True, slots=True, eq=False)
class Persons:
    """Anonymous boxes (P) of persons in single frames.

    They have no identity, so nothing links a person from frame to frame. Rules use them to check whether a vehicle gave
    way. No case is about a person.
    """

    frame: Ints32
    """(P,) i4: row of `frames`, ascending."""
    xyxy_px: Floats32
    """(P, 4) f4: left, top, right, bottom in image pixels."""

    def __post_init__(self) -> None:
        require_rows(self, len(self.frame), "xyxy_px")

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def foot_px(self) -> Floats32:
        """(P, 2) f4: middle of the lower edge of the box."""
        return foot_px(self.xyxy_px)


NO_PERSONS = Persons(np.empty(0, np.int32), np.empty((0, 4), np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """Sightings (T) of vehicles with an identity, ordered by frame. Each box is a detection, never a prediction."""

    frames: Frames
    frame: Ints32
    """(T,) i4: row of `frames`, ascending."""
    track: Ints
    """(T,) i8: identity (`TRACK_BITS`), unique in the process over all cameras."""
    xyxy_px: Floats32
    """(T, 4) f4: left, top, right, bottom in image pixels."""
    score: Floats32
    """(T,) f4: confidence of the detection."""
    class_id: Ints32
    """(T,) i4: `VehicleClass` by the vote of all sightings so far."""
    ended: Ints
    """(E,) i8: identities that ended with this batch, ascending. No later batch contains them."""
    persons: Persons = NO_PERSONS
    """The persons in the frames; never tracked."""

    def __post_init__(self) -> None:
        require_rows(self, len(self.frame), "track", "xyxy_px", "score", "class_id")

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def camera(self) -> Ints32:
        """(T,) i4: camera of each sighting."""
        return self.frames.camera[self.frame]

    @property
    def captured_s(self) -> Floats:
        """(T,) f8: capture time of each sighting, Unix seconds UTC."""
        return self.frames.captured_s[self.frame]

    @property
    def foot_px(self) -> Floats32:
        """(T, 2) f4: middle of the lower edge of the box, image pixels; stands for the vehicle's point on the road."""
        return foot_px(self.xyxy_px)
