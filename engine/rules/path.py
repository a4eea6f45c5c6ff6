"""The path of a vehicle over the road: comparable sightings, distance driven, and rules that need only the path.

All functions use medians of neighbouring sightings, so that a single false box has no effect, and points far enough
apart that a detector's jitter does not count as motion.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.errors import ConfigError
from engine.rules.enforcement import road_per_pixel_m
from engine.rules.evaluator import CameraContext, Offence, R, StatelessEvaluator, image_to_ground, require_calibration
from engine.rules.track_history import Rows, TrackHistory, foot_px
from engine.site import PointPx, Rule
from engine.types import Flags, Floats, Ints
from kernels.ground import undistort
from kernels.path import running_median, simplify

LONGEST_GAP_S = 2.0
"""After a longer time out of sight a new path begins."""
NEIGHBOURS = 2
"""Positions are medians of a sighting and this many on either side."""
MOST_OF_HEIGHT = 0.75
"""A vehicle of which more than this share is hidden is not detected."""
SOME_OF_HEIGHT = 0.25
"""If a vehicle moved as a whole, its foot point moved by at least this share of its height,"""
TOP_SHARE = 0.15
"""and its upper edge by at least this share of that. A lorry's upper edge, near the camera's height, moves no more."""
FASTEST_MPS = 60.0
JUMP_M = 4.0
"""A step longer than this plus what the fastest vehicle drives in its time is a jump to another vehicle."""
APART_M = 2.0
"""Corners of a path are at least this far apart,"""
APART_PX = 3.0
"""and at least the road that this many pixels cover."""
BRIDGED = 2
"""At most this many sightings outside a zone between two stays in it are jitter at its border."""


@dataclass(frozen=True, slots=True)
class Path:
    """Comparable sightings with their smoothed positions."""

    rows: Rows
    position_m: Floats
    """(P, 2) f8: running medians."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def captured_s(self) -> Floats:
        """(P,) f8: capture times."""
        return np.asarray(self.rows["captured_s"])

    def part(self, first: int, last: int) -> Path:
        """From row `first` to row `last`, both included."""
        return Path(self.rows[first : last + 1], self.position_m[first : last + 1])

    def velocity_mps(self, at_s: float, began_s: float, ended_s: float) -> Floats | None:
        """(2,) f8: mean velocity (least squares) between two times that count from `at_s`.

        None with fewer than 3 sightings, or if they span less than half of the time.
        """
        since_s = self.captured_s - at_s
        rows = (since_s >= began_s) & (since_s <= ended_s)
        times, places = since_s[rows], self.position_m[rows]
        if np.count_nonzero(rows) < 3 or times[-1] - times[0] < (ended_s - began_s) / 2:
            return None
        away_s = times - times.mean()
        return np.asarray(away_s @ places / (away_s @ away_s))


def latest_path(history: TrackHistory) -> Path:
    """The latest uninterrupted sightings with a position on the ground and comparable capture times."""
    rows = history.rows
    placed = np.isfinite(rows["position_m"]).all(axis=1)
    rows = rows[placed & (rows["captured_s"] > history.steady_since_s)]
    breaks = np.flatnonzero(_broken(rows))
    rows = rows[breaks[-1] + 1 :] if len(breaks) else rows
    return Path(rows, smoothed(np.ascontiguousarray(rows["position_m"])))


def _broken(rows: Rows) -> Flags:
    """(P - 1,) bool: a step is too long in time or in space to belong to one vehicle."""
    lasted_s = np.diff(rows["captured_s"])
    step_m = np.hypot(*np.diff(rows["position_m"], axis=0).T)
    return np.asarray((lasted_s > LONGEST_GAP_S) | (step_m > JUMP_M + FASTEST_MPS * lasted_s))


def smoothed(position_m: Floats) -> Floats:
    """(P, 2) running medians of the positions."""
    out = np.empty_like(position_m)
    running_median(position_m, NEIGHBOURS, out)
    return out


def moved_by_its_height(rows: Rows) -> bool:
    """True if the foot point moved through the picture by most of the largest height of the box."""
    foot = foot_px(rows)
    moved = np.median(foot[-3:], axis=0) - np.median(foot[:3], axis=0)
    height = (rows["xyxy_px"][:, 3] - rows["xyxy_px"][:, 1]).max()
    return bool(np.hypot(*moved) >= MOST_OF_HEIGHT * height)


def moved_as_a_whole(rows: Rows) -> bool:
    """True if the upper edge of the box moved along with the foot point, by more than a box's errors.

    If the lower part of a standing vehicle is hidden or comes into sight, its upper edge stays. So a shorter path is
    enough here than for `moved_by_its_height`.
    """
    box = rows["xyxy_px"].astype(np.float64)
    top = np.stack([(box[:, 0] + box[:, 2]) / 2, box[:, 1]], axis=1)
    foot_moved, top_moved = (np.median(p[-3:], axis=0) - np.median(p[:3], axis=0) for p in (foot_px(rows), top))
    length_px = float(np.hypot(*foot_moved))
    far = length_px >= SOME_OF_HEIGHT * (box[:, 3] - box[:, 1]).min()
    return bool(far and foot_moved @ top_moved >= TOP_SHARE * length_px**2)


def stays(within: Flags) -> Iterator[tuple[int, int]]:
    """First and last row of every run of true flags; gaps of at most `BRIDGED` rows are bridged."""
    rows = np.flatnonzero(within)
    if len(rows):
        ends = np.flatnonzero(np.diff(rows) > BRIDGED + 1)
        yield from zip(rows[np.r_[0, ends + 1]].tolist(), rows[np.r_[ends, len(rows) - 1]].tolist(), strict=True)


class RoadPlane:
    """The road plane of a site, for one rule. Raises ConfigError if the site has no calibration."""

    def __init__(self, context: CameraContext, rule: Rule) -> None:
        self._where = f"site {context.site.name}: rule {rule.name}"
        self._image_to_ground = image_to_ground(context, rule)
        self._lens = require_calibration(context, rule).lens

    def points_m(self, points_px: tuple[PointPx, ...], what: str) -> Floats:
        """(P, 2) f8: image points on the ground. Raises ConfigError if `what` crosses the horizon of the
        calibration."""
        straight_px = np.array(points_px, np.float64)
        if lens := self._lens:  # as the speedometer does with foot points
            row = np.array([(lens.focal_px, *lens.centre_px, lens.k1, lens.k2)])
            undistort(row, np.zeros(len(straight_px), np.int32), straight_px)
        mapped = np.hstack([straight_px, np.ones((len(straight_px), 1))]) @ self._image_to_ground.T
        if not (mapped[:, 2] > 0).all() and not (mapped[:, 2] < 0).all():
            raise ConfigError(f"{self._where}: {what} crosses the horizon")
        return np.asarray(mapped[:, :2] / mapped[:, 2:])

    def direction(self, arrow_px: tuple[PointPx, PointPx]) -> Floats:
        """(2,) f8 unit vector of an arrow drawn in the image; raises ConfigError as `points_m`."""
        tail, head = self.points_m(arrow_px, "direction_px")
        return np.asarray((head - tail) / np.hypot(*(head - tail)))

    def pixel_m(self, rows: Rows) -> Floats:
        """(P,) f8: length of road that one pixel covers at every foot point."""
        return road_per_pixel_m(self._image_to_ground, foot_px(rows))

    def corners(self, path: Path) -> Ints:
        """(K,) i8: rows of the path whose positions lie apart."""
        out = np.empty(len(path), np.int64)
        apart_m = np.maximum(APART_M, APART_PX * self.pixel_m(path.rows))
        return out[: simplify(np.ascontiguousarray(path.position_m), apart_m, out)]

    def driven_m(self, path: Path) -> Floats:
        """(P,) f8: distance driven up to every row, along the corners of the path."""
        corners = self.corners(path)
        if not len(corners):
            return np.zeros(len(path))
        steps = np.hypot(*np.diff(path.position_m[corners], axis=0).T)
        done = np.concatenate([[0.0], np.cumsum(steps)])
        return np.asarray(done[np.searchsorted(corners, np.arange(len(path)), "right") - 1])


class PathRule(StatelessEvaluator[R]):
    """Evaluates the latest path of a vehicle after every batch. Raises ConfigError if the site has no calibration."""

    def __init__(self, context: CameraContext, rule: R) -> None:
        super().__init__(context, rule)
        self.ground = RoadPlane(context, rule)

    def update(self, history: TrackHistory, fresh: Rows) -> Offence | None:
        """Evaluate the path so far."""
        return self._evaluate(history, ended=False)

    def end(self, history: TrackHistory) -> Offence | None:
        """Evaluate the whole path; not if another track continues the vehicle."""
        return None if history.succeeded else self._evaluate(history, ended=True)

    def _evaluate(self, history: TrackHistory, *, ended: bool) -> Offence | None:
        if self.kind_name in history.reported:
            return None
        return self.evaluate(history, latest_path(history), ended)

    @abstractmethod
    def evaluate(self, history: TrackHistory, path: Path, ended: bool) -> Offence | None:
        """The offence that the path proves; None if it proves no offence. `ended`: there will be no more sightings."""
