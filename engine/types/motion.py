"""On the road: places and speeds, or why there is none."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np

from engine.types.arrays import Bytes8, Floats, Ints, require_rows
from engine.types.seen import Tracks


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
        require_rows(
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
        require_rows("Motion", len(self.tracks.persons), persons_m=self.persons_m)
        require_rows(
            "Motion",
            len(self.tracks),
            position_m=self.position_m,
            velocity_mps=self.velocity_mps,
            sigma_mps=self.sigma_mps,
        )
