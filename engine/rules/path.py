"""A vehicle's way over the road: what of its sightings can be compared, how far it drove and how it turned.

Everything here works on medians of neighbouring sightings, so that a false box moves nothing, and between points far
enough apart that a detector's jitter is no motion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.errors import ConfigError
from engine.rules.evaluator import CameraContext, image_to_ground, require_calibration
from engine.rules.track_history import Rows, TrackHistory, foot_px
from engine.site import PointPx, Rule
from engine.types import Flags, Floats, Ints
from kernels.ground import undistort
from kernels.path import running_median, simplify

LONGEST_GAP_S = 2.0
"""Out of sight for longer, and the way begins anew."""
NEIGHBOURS = 2
"""Positions are medians of a sighting and so many on either side: a false box does not move them."""
MOST_OF_HEIGHT = 0.75
"""A vehicle of which more than this is hidden is hardly seen at all."""
SOME_OF_HEIGHT = 0.25
"""The foot point of a vehicle that moved as a whole did so by this share of its height at least,"""
TOP_SHARE = 0.15
"""and the upper edge by this share of that: a lorry's, near the camera's height, moves no more."""
FASTEST_MPS = 60.0
JUMP_M = 4.0
"""A step of more than this and what the fastest vehicle drives in its time is the track's jump to another vehicle."""
APART_M = 2.0
"""Points of the way are at least this far apart,"""
APART_PX = 3.0
"""and this many pixels' worth of road."""
BRIDGED = 2
"""So few sightings out of a zone between two stays in it are jitter at its border."""


@dataclass(frozen=True, slots=True)
class Path:
    """Comparable sightings with their places."""

    rows: Rows
    position_m: Floats
    """(P, 2) f8: running medians."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def captured_s(self) -> Floats:
        return np.asarray(self.rows["captured_s"])

    def part(self, first: int, last: int) -> Path:
        """From row `first` to row `last`, both included."""
        return Path(self.rows[first : last + 1], self.position_m[first : last + 1])


def latest_way(trail: TrackHistory) -> Path:
    """The latest uninterrupted sightings on the ground under one steady clock."""
    rows = trail.rows
    placed = np.isfinite(rows["position_m"]).all(axis=1)
    rows = rows[placed & (rows["captured_s"] > trail.steady_since_s)]
    breaks = np.flatnonzero(_broken(rows))
    rows = rows[breaks[-1] + 1 :] if len(breaks) else rows
    return Path(rows, smoothed(np.ascontiguousarray(rows["position_m"])))


def _broken(rows: Rows) -> Flags:
    """(P - 1,) whether a step is too long in time or in space to be one vehicle's."""
    lasted_s = np.diff(rows["captured_s"])
    step_m = np.hypot(*np.diff(rows["position_m"], axis=0).T)
    return np.asarray((lasted_s > LONGEST_GAP_S) | (step_m > JUMP_M + FASTEST_MPS * lasted_s))


def smoothed(position_m: Floats) -> Floats:
    """(P, 2) running medians of the positions."""
    out = np.empty_like(position_m)
    running_median(position_m, NEIGHBOURS, out)
    return out


def moved_by_its_height(rows: Rows) -> bool:
    """Did the foot point move through the picture by most of the height of the box, at its highest?"""
    foot = foot_px(rows)
    way = np.median(foot[-3:], axis=0) - np.median(foot[:3], axis=0)
    height = (rows["xyxy_px"][:, 3] - rows["xyxy_px"][:, 1]).max()
    return bool(np.hypot(*way) >= MOST_OF_HEIGHT * height)


def moved_as_a_whole(rows: Rows) -> bool:
    """Did the upper edge of the box go along with the foot point, and that by more than a box's errors?

    Of a standing vehicle whose lower part is hidden, or comes into sight, the upper edge stays. A shorter way proves
    more by this than by `moved_by_its_height`.
    """
    box = rows["xyxy_px"].astype(np.float64)
    top = np.stack([(box[:, 0] + box[:, 2]) / 2, box[:, 1]], axis=1)
    foot_way, top_way = (np.median(p[-3:], axis=0) - np.median(p[:3], axis=0) for p in (foot_px(rows), top))
    length_px = float(np.hypot(*foot_way))
    far = length_px >= SOME_OF_HEIGHT * (box[:, 3] - box[:, 1]).min()
    return bool(far and foot_way @ top_way >= TOP_SHARE * length_px**2)


def stays(within: Flags) -> Iterator[tuple[int, int]]:
    """First and last row of every run of true flags; gaps of up to `BRIDGED` rows are bridged."""
    rows = np.flatnonzero(within)
    if len(rows):
        ends = np.flatnonzero(np.diff(rows) > BRIDGED + 1)
        yield from zip(rows[np.r_[0, ends + 1]].tolist(), rows[np.r_[ends, len(rows) - 1]].tolist(), strict=True)


class RoadPlane:
    """A site's road plane for one rule. Raises ConfigError where the site has no calibration."""

    def __init__(self, scene: CameraContext, rule: Rule) -> None:
        self._where = f"site {scene.site.name}: rule {rule.name}"
        self._image_to_ground = image_to_ground(scene, rule)
        self._lens = require_calibration(scene, rule).lens

    def points_m(self, points_px: tuple[PointPx, ...], what: str) -> Floats:
        """(P, 2) f8; raises ConfigError where `what` does not lie on the road as the calibration has it."""
        straight_px = np.array(points_px, np.float64)
        if lens := self._lens:  # taken out as it is of the vehicles' feet
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
        """(P,) f8: what a pixel down the picture is worth of road at every foot."""
        foot = foot_px(rows)
        mapped = np.hstack([foot, np.ones((len(foot), 1))]) @ self._image_to_ground.T
        place, w = mapped[:, :2] / mapped[:, 2:], mapped[:, 2:]
        along = (self._image_to_ground[:2, 1] - place * self._image_to_ground[2, 1]) / w
        return np.asarray(np.hypot(*along.T))

    def corners(self, way: Path) -> Ints:
        """(K,) i8: rows of the way that lie apart."""
        out = np.empty(len(way), np.int64)
        apart_m = np.maximum(APART_M, APART_PX * self.pixel_m(way.rows))
        return out[: simplify(np.ascontiguousarray(way.position_m), apart_m, out)]

    def driven_m(self, way: Path) -> Floats:
        """(P,) f8: how far the vehicle had driven by every row, along the corners of the way."""
        corners = self.corners(way)
        if not len(corners):
            return np.zeros(len(way))
        steps = np.hypot(*np.diff(way.position_m[corners], axis=0).T)
        done = np.concatenate([[0.0], np.cumsum(steps)])
        return np.asarray(done[np.searchsorted(corners, np.arange(len(way)), "right") - 1])
