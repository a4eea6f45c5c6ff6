"""A vehicle over one end of a section."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.types import Clock, Sighting, VehicleClass


@dataclass(frozen=True, slots=True)
class Crossing:
    """One crossing of a line by one vehicle whose plate was read. Equal crossings are the same crossing."""

    camera: int
    """Index of the camera in the running configuration."""
    line: str
    """Name of the site's line."""
    track: int
    plate: str
    """Upper case, without spaces."""
    plate_confidence: float
    """0 to 1."""
    captured_s: float
    """When the foot point crossed the line, Unix seconds UTC, interpolated between frames."""
    sigma_s: float
    """Standard uncertainty of that instant on the camera's own clock (`crossing_sigma_s`), without that of the
    clock."""
    clock: Clock
    class_id: VehicleClass
    sightings: tuple[Sighting, ...]
    """Around the crossing, ascending: the first is not after it, the last not before it."""
    lane: int | None = None
    """Counted from the right, from 1; None if unknown."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.captured_s) and math.isfinite(self.sigma_s) and self.sigma_s > 0.0):
            raise ValueError(f"a crossing at {self.captured_s} s +- {self.sigma_s} s is impossible")
        if not 0.0 <= self.plate_confidence <= 1.0:
            raise ValueError(f"plate confidence {self.plate_confidence} is not between 0 and 1")
        if not self.plate or self.plate != "".join(self.plate.split()).upper():
            raise ValueError(f"plate {self.plate!r} is empty, or not in upper case without spaces")
        if not (self.sightings and self.sightings[0].captured_s <= self.captured_s <= self.sightings[-1].captured_s):
            raise ValueError("the sightings of a crossing do not span its crossing")


def crossing_sigma_s(interval_s: float, foot_sigma_m: float, speed_mps: float) -> float:
    """Standard uncertainty of a line crossing between two frames.

    interval_s    between the frames: the instant is anywhere in it (rectangular, JCGM 100:2008, 4.3.7), which bounds
                  the error of the interpolation if the speed changes
    foot_sigma_m  standard uncertainty of the foot point along the road
    speed_mps     speed over the line

    Raises ValueError for values that no crossing has.
    """
    if not (interval_s > 0.0 and foot_sigma_m >= 0.0 and speed_mps > 0.0):
        raise ValueError(f"no crossing: {interval_s} s, {foot_sigma_m} m, {speed_mps} m/s")
    return math.hypot(interval_s / math.sqrt(12.0), foot_sigma_m / speed_mps)


def one_misread_apart(plate: str, other: str) -> bool:
    """True if the plates differ by at most one character that was read wrongly, read twice or not read."""
    same = next((n for n, (a, b) in enumerate(zip(plate, other, strict=False)) if a != b), min(len(plate), len(other)))
    rest, other_rest = plate[same:], other[same:]
    return rest[1:] == other_rest[1:] or rest[1:] == other_rest or rest == other_rest[1:]
