"""A line before a signal: between which two instants a vehicle's front must have crossed it.

A box shows where the vehicle's near end meets the road. Of a vehicle that comes towards the camera that is its front;
of one that drives away it is its rear, and the front is ahead by the vehicle's length, of which no more is known than
what its class can have; of one seen from aside it is something between. So the crossing is a pair of instants: before
the first even the longest vehicle's front is short of the line, after the second even the shortest one's is over it.
Whatever must hold at the crossing is asked of all the time between the two, in favour of the driver.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.errors import ConfigError
from engine.rules.kind import Scene, require_calibration
from engine.rules.trail import Rows, Trail
from engine.rules.way import smoothed
from engine.sitesignals import SignalLineRule
from engine.types import Floats
from kernels.ground import undistort

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
LONGEST_GAP_S = 1.5
"""Out of sight for longer on its way over the line, and it may be another vehicle."""
BIGGEST_STEP = 0.5
"""A step between sightings that is a larger share of the way over the line is a switch of identity."""
FEWEST = 4
"""Sightings on the way over the line."""


@dataclass(frozen=True, slots=True)
class Passing:
    """A vehicle's way over the line."""

    early_s: float
    """Before, no part of it can have been over the line."""
    late_s: float
    """After, its front was over it for sure."""
    rows: Rows
    """All sightings since the last one before `early_s`."""
    position_m: Floats
    """(P, 2) f8, smoothed."""


class StopLine:
    """The line of a rule on the ground."""

    def __init__(self, scene: Scene, rule: SignalLineRule) -> None:
        """Raises ConfigError where the line does not lie on the road as the calibration has it."""
        line = next(line for line in scene.site.lines if line.name == rule.line)
        begin, end = np.array(line.from_px), np.array(line.to_px)
        right = np.array([begin[1] - end[1], end[0] - begin[0]]) / max(1e-9, float(np.hypot(*(end - begin))))
        middle = (begin + end) / 2
        points = np.array([begin, end, middle, middle + right, middle - (0.0, 1.0)])
        self._name, self._calibration = rule.line, require_calibration(scene, rule)
        self._where = f"site {scene.site.name}: rule {rule.name}"
        ground = self._grounded(points)
        self._begin_m, way = ground[0], ground[1] - ground[0]
        self._length_m = float(np.hypot(*way))
        if not self._length_m > 0:
            raise ConfigError(f"{self._where}: line {rule.line} has no length")
        self._along = way / self._length_m
        self._ahead = np.array([-self._along[1], self._along[0]])
        self._ahead *= np.sign(self._ahead @ (ground[3] - ground[2]))
        sight = ground[4] - ground[2]
        self._facing = float(self._ahead @ sight / np.hypot(*sight))

    def _grounded(self, points_px: Floats) -> Floats:
        """(P, 2) points of the picture on the road, the lens taken out as it is of the vehicles' feet."""
        straight_px, lens = np.array(points_px, np.float64), self._calibration.lens
        if lens:
            row = np.array([(lens.focal_px, *lens.centre_px, lens.k1, lens.k2)])
            undistort(row, np.zeros(len(straight_px), np.int32), straight_px)
        image_to_ground = np.array(self._calibration.image_to_ground)
        mapped = np.hstack([straight_px, np.ones((len(straight_px), 1))]) @ image_to_ground.T
        if not (mapped[:, 2] > 0).all() and not (mapped[:, 2] < 0).all():
            raise ConfigError(f"{self._where}: line {self._name} crosses the horizon")
        return np.asarray(mapped[:, :2] / mapped[:, 2:])

    def front_m(self, trail: Trail) -> tuple[float, float]:
        """How far ahead of its foot point the vehicle's front is, at least and at the most."""
        lengths = [LENGTH_M.get(name, ANY_M) for name in trail.plausible]
        least, most = min(low for low, _ in lengths), max(high for _, high in lengths)
        if self._facing >= AWAY:
            return least - FOOT_M, most + FOOT_M
        return (-FOOT_M, FOOT_M) if self._facing <= -AWAY else (-FOOT_M, most + FOOT_M)

    def ahead_m(self, position_m: Floats) -> Floats:
        """(P,) how far beyond the line points of the road are; negative before it."""
        return np.asarray((position_m - self._begin_m) @ self._ahead)

    def leads_to(self, points_px: Floats) -> bool:
        """Does the middle of these points lie beyond the line?"""
        middle_m = self._grounded(points_px.mean(axis=0, keepdims=True))
        return bool(self.ahead_m(middle_m)[0] > 0)

    def passing(self, trail: Trail) -> Passing | None:
        """The vehicle's last way over the line under one steady clock; None where it was not seen to come over it."""
        rows = trail.rows[trail.rows["captured_s"] > trail.steady_since_s]
        rows = rows[np.isfinite(rows["position_m"]).all(axis=1)]
        least, most = self.front_m(trail)
        if len(rows) < FEWEST or not (self.ahead_m(rows["position_m"]) + least >= 0).any():
            return None
        position_m = smoothed(np.ascontiguousarray(rows["position_m"]))
        times, ahead_m = rows["captured_s"], self.ahead_m(position_m)
        late = _last_rise(times, ahead_m + least, len(rows))
        early = _last_rise(times, ahead_m + most, late[0] + 2) if late else None
        if late is None or early is None or not self._on_line(position_m, ahead_m + least, late[0]):
            return None
        found = Passing(early[1], late[1], rows[early[0] :], position_m[early[0] :])
        return found if _is_one_vehicle(found) else None

    def _on_line(self, position_m: Floats, front_m: Floats, row: int) -> bool:
        """Does the step from a row to the next lead over the line, and not past one of its ends?"""
        share = front_m[row] / (front_m[row] - front_m[row + 1])
        at = (position_m[row] + share * (position_m[row + 1] - position_m[row]) - self._begin_m) @ self._along
        return bool(0 <= at <= self._length_m)


def _last_rise(times: Floats, value: Floats, rows: int) -> tuple[int, float] | None:
    """The last row of the first `rows` after which the value rises through zero, and the instant between the two."""
    rises = np.flatnonzero((value[: rows - 1] < 0) & (value[1:rows] >= 0))
    if not len(rises):
        return None
    row = int(rises[-1])
    share = value[row] / (value[row] - value[row + 1])
    return row, float(times[row] + share * (times[row + 1] - times[row]))


def _is_one_vehicle(passing: Passing) -> bool:
    """Was the vehicle in sight all the way, without a jump?"""
    times = passing.rows["captured_s"]
    over = times <= passing.late_s
    gaps, steps_m = np.diff(times), np.hypot(*np.diff(passing.position_m, axis=0).T)
    way_m = np.hypot(*(passing.position_m - passing.position_m[0]).T).max()
    near = np.flatnonzero(over)[-1] + 1
    return bool(len(times) >= FEWEST and gaps[:near].max() <= LONGEST_GAP_S and steps_m.max() <= BIGGEST_STEP * way_m)
