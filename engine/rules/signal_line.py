"""A line before a signal: between which two instants a vehicle's front must have crossed it.

A box shows where the vehicle's near end meets the road. Of a vehicle that comes towards the camera that is its front;
of one that drives away it is its rear, and the front is ahead by the vehicle's length, of which no more is known than
what its class can have; of one seen from aside it is something between. So the crossing is a pair of instants: before
the first even the longest vehicle's front is short of the line, after the second even the shortest one's is over it.
Whatever must hold at the crossing is asked of all the time between the two, in favour of the driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.errors import ConfigError
from engine.rules.evaluator import CameraContext
from engine.rules.path import Path, RoadPlane
from engine.rules.track_history import TrackHistory
from engine.site import Polygon
from engine.site.signals import SignalLineRule
from engine.types import Floats

LENGTH_M = {
    "car": (3.4, 5.8),
    "truck": (4.5, 18.75),
    "bus": (6.0, 18.75),
    "motorcycle": (1.6, 2.8),
    "bicycle": (1.4, 2.2),
}
"""Shortest and longest of a class. Microcars are shorter: a rule's `beyond_m` allows for them. A road train has 18.75 m
at the most."""
ANY_M = (0.0, 18.75)
"""Of whatever else a detector may name."""
FOOT_M = 0.3
"""How far the foot point on the road may be off, along it, beyond what smoothing takes out."""
AWAY = 0.5
"""Cosine between the way over the line and the line of sight from which on the vehicle is seen from behind; below its
negative, from the front."""
STEP_M, STEP_PX = 1.5, 4.0
"""A step between sightings is longer by this, and so many pixels' worth of road, than twice the speed before or after
makes it, at the most; otherwise the track has jumped to another vehicle."""
FEWEST = 4
"""Sightings on the way over the line."""


@dataclass(frozen=True, slots=True)
class Passing:
    """A vehicle's way over the line."""

    early_s: float
    """Before, no part of it can have been over the line."""
    late_s: float
    """After, its front was over it for sure."""
    way: Path
    """Its way since the last sighting before `early_s`."""


class StopLine:
    """The line of a rule on the ground."""

    def __init__(self, scene: CameraContext, rule: SignalLineRule, ground: RoadPlane) -> None:
        """Raises ConfigError where the line does not lie on the road as the calibration has it."""
        self._ground, self._name = ground, f"line {rule.line}"
        line = next(line for line in scene.site.lines if line.name == rule.line)
        begin, end = np.array(line.from_px), np.array(line.to_px)
        right = np.array([begin[1] - end[1], end[0] - begin[0]]) / max(1e-9, float(np.hypot(*(end - begin))))
        middle = (begin + end) / 2
        points = (begin, end, middle, middle + right, middle - (0.0, 1.0))
        self._begin_m, end_m, middle_m, right_m, up_m = self._grounded(points)
        self._length_m = float(np.hypot(*(end_m - self._begin_m)))
        if not self._length_m > 0:
            raise ConfigError(f"site {scene.site.name}: rule {rule.name}: line {rule.line} has no length")
        self._along = (end_m - self._begin_m) / self._length_m
        self._ahead = np.array([-self._along[1], self._along[0]])
        self._ahead *= np.sign(self._ahead @ (right_m - middle_m))
        self._facing = float(self._ahead @ (up_m - middle_m) / np.hypot(*(up_m - middle_m)))

    def _grounded(self, points_px: Sequence[Floats]) -> Floats:
        return self._ground.points_m(tuple((float(x), float(y)) for x, y in points_px), self._name)

    def front_m(self, trail: TrackHistory) -> tuple[float, float]:
        """How far ahead of its foot point the vehicle's front is, at least and at the most."""
        lengths = [LENGTH_M.get(name, ANY_M) for name in trail.plausible]
        least, most = min(low for low, _ in lengths), max(high for _, high in lengths)
        if self._facing >= AWAY:
            return least - FOOT_M, most + FOOT_M
        return (-FOOT_M, FOOT_M) if self._facing <= -AWAY else (-FOOT_M, most + FOOT_M)

    def ahead_m(self, position_m: Floats) -> Floats:
        """(P,) how far beyond the line points of the road are; negative before it."""
        return np.asarray((position_m - self._begin_m) @ self._ahead)

    def leads_to(self, polygon_px: Polygon) -> bool:
        """Does the middle of an area lie beyond the line?"""
        return bool(self.ahead_m(self._grounded([np.mean(polygon_px, axis=0)]))[0] > 0)

    def passing(self, trail: TrackHistory, way: Path) -> Passing | None:
        """The vehicle's last way over the line; None where it was not seen to come over it."""
        least, most = self.front_m(trail)
        ahead_m = self.ahead_m(way.position_m)
        late = _last_rise(way.captured_s, ahead_m + least, len(way))
        early = _last_rise(way.captured_s, ahead_m + most, late[0] + 2) if late else None
        if late is None or early is None or not self._on_line(way.position_m, ahead_m + least, late[0]):
            return None
        found = Passing(early[1], late[1], way.part(early[0], len(way) - 1))
        return found if self._is_one_vehicle(found.way) else None

    def _on_line(self, position_m: Floats, front_m: Floats, row: int) -> bool:
        """Does the step from a row to the next lead over the line, and not past one of its ends?"""
        share = front_m[row] / (front_m[row] - front_m[row + 1])
        at = (position_m[row] + share * (position_m[row + 1] - position_m[row]) - self._begin_m) @ self._along
        return bool(0 <= at <= self._length_m)

    def _is_one_vehicle(self, way: Path) -> bool:
        """Did the vehicle drive all the way, without a jump from one that waits to one that crosses beyond?"""
        if len(way) < FEWEST:
            return False
        lasted_s, steps_m = np.diff(way.captured_s), np.hypot(*np.diff(way.position_m, axis=0).T)
        speeds_mps = np.pad(steps_m / lasted_s, 1)
        driven_m = 2 * np.maximum(speeds_mps[:-2], speeds_mps[2:]) * lasted_s
        noise_m = STEP_M + STEP_PX * self._ground.pixel_m(way.rows)[1:]
        return bool((steps_m <= driven_m + noise_m).all())


def _last_rise(times: Floats, value: Floats, rows: int) -> tuple[int, float] | None:
    """The last row of the first `rows` after which the value rises through zero, and the instant between the two."""
    rises = np.flatnonzero((value[: rows - 1] < 0) & (value[1:rows] >= 0))
    if not len(rises):
        return None
    row = int(rises[-1])
    share = value[row] / (value[row] - value[row + 1])
    return row, float(times[row] + share * (times[row + 1] - times[row]))
