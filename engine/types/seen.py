"""In the frames: boxes, then boxes with identity."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from engine.types.arrays import Floats, Floats32, Ints, Ints32, require_rows
from engine.types.stream import Frames

TRACK_BITS = 40
"""An identity is `camera << TRACK_BITS | number`, the number counting the camera's own tracks."""


class VehicleClass(enum.IntEnum):
    """What a box holds. A person is kept as an anonymous box only: never tracked into a case, blurred in stills."""

    CAR = 0
    TRUCK = 1
    BUS = 2
    MOTORCYCLE = 3
    BICYCLE = 4
    PERSON = 5


def foot_px(xyxy_px: Floats32) -> Floats32:
    return np.stack([(xyxy_px[:, 0] + xyxy_px[:, 2]) / 2, xyxy_px[:, 3]], axis=1)


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
        require_rows("Detections", len(self.frame), xyxy_px=self.xyxy_px, score=self.score, class_id=self.class_id)

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
        require_rows("Persons", len(self.frame), xyxy_px=self.xyxy_px)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def foot_px(self) -> Floats32:
        """(P, 2) f4: middle of the lower edge of the box."""
        return foot_px(self.xyxy_px)


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
        require_rows(
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
        return foot_px(self.xyxy_px)
