"""Motion on the road: positions and speeds, or the reason why there is no speed."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np

from engine.types.arrays import Bytes8, Floats, Ints, require_rows
from engine.types.seen import Tracks


class Measurable(enum.IntEnum):
    """Whether a speed may be stated; if not, the reason."""

    YES = 0
    TOO_SHORT = 1
    """Too few sightings, too little time, or a stretch of road that is too short."""
    TRUNCATED = 2
    """The border of the picture cut the vehicle."""
    OCCLUDED = 3
    """Another vehicle hid it or merged with it, so the result could belong to the other vehicle (OIML R 91)."""
    ACCELERATING = 4
    """The speed changed too much over the stretch for one number."""
    OUTSIDE = 5
    """The vehicle was outside the calibrated area."""
    NOT_CALIBRATED = 6
    """The site has no calibration that is valid at the capture time."""
    CLOCK_UNSTABLE = 7
    """The capture times are not trusted."""
    INCONSISTENT = 8
    """The sightings do not fit the motion of one vehicle: an identity switch, or detector noise."""
    UNCERTAIN = 9
    """The uncertainty exceeds the bound for a measurement."""
    MOVED = 10
    """The camera's view has moved since the calibration."""
    UNRECORDABLE = 11
    """Nothing can be recorded: the disk or the ledger fails."""


@dataclass(frozen=True, slots=True, eq=False)
class Speeds:
    """Mean speed of each vehicle of the batch over the stretch on which it was seen so far: one row (S) per track."""

    track: Ints
    """(S,) i8: identity, ascending."""
    speed_mps: Floats
    """(S,) f8: mean speed over the stretch; nan if not measurable."""
    sigma_mps: Floats
    """(S,) f8: combined standard uncertainty of `speed_mps` (k = 1); nan if not measurable."""
    measurable: Bytes8
    """(S,) u1: `Measurable`."""
    began_s: Floats
    """(S,) f8: capture time of the first sighting of the stretch; nan if there is no stretch."""
    ended_s: Floats
    """(S,) f8: capture time of the last sighting of the stretch; nan if there is no stretch."""
    length_m: Floats
    """(S,) f8: length of the stretch on the ground; nan if there is no stretch."""
    heading_rad: Floats
    """(S,) f8: direction of travel on the ground, from the x axis towards the y axis; nan if unknown."""

    def __post_init__(self) -> None:
        columns = ("speed_mps", "sigma_mps", "measurable", "began_s", "ended_s", "length_m", "heading_rad")
        require_rows(self, len(self.track), *columns)


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Motion on the ground: one row (T) per row of `tracks`, and one speed per track."""

    tracks: Tracks
    position_m: Floats
    """(T, 2) f8: position of the foot point on the ground; nan if the camera has no valid calibration."""
    velocity_mps: Floats
    """(T, 2) f8: momentary velocity on the ground, smoothed over the last second; nan if unknown."""
    sigma_mps: Floats
    """(T,) f8: standard uncertainty of the momentary speed; nan if unknown."""
    speeds: Speeds
    """The measurements that may be stated in a case."""
    persons_m: Floats = field(default_factory=lambda: np.empty((0, 2)))
    """(P, 2) f8: positions of the persons of `tracks` on the ground; nan if the camera has no valid calibration."""

    def __post_init__(self) -> None:
        require_rows(self, len(self.tracks.persons), "persons_m")
        require_rows(self, len(self.tracks), "position_m", "velocity_mps", "sigma_mps")
