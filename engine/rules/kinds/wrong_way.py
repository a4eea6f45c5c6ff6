"""`wrong_way`: against the legal direction of a road or lane.

Proved by a displacement on the ground over a distance and a time, never by a momentary heading. The stretch in question
is the largest drop of the vehicle's progress along the legal direction. It counts if no single step makes up most of it
(a switch of identity jumps), and if the foot point moved through the picture by most of the height of the box: neither
a detector's error nor hiding a part of a standing vehicle does that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, TypeVar

import numpy as np
from msgspec import Meta

from engine.config import Positive
from engine.rules.evaluator import CameraContext, Offence, RuleKind, StatelessEvaluator
from engine.rules.path import LONGEST_GAP_S, RoadPlane, moved_by_its_height, smoothed
from engine.rules.track_history import Rows, TrackHistory
from engine.rules.zones import entered_s
from engine.site import PointPx, Rule
from engine.site.rule import require_arrow
from engine.types import Floats, Reason
from kernels.path import largest_drop

FEWEST = 5
"""Sightings that make a stretch."""
BIGGEST_STEP = 0.4
"""A step between sightings that is a larger share of the stretch is a switch of identity."""


class WrongWayRule(Rule, frozen=True, kw_only=True, tag="wrong_way"):
    """Against the legal direction."""

    direction_px: tuple[PointPx, PointPx]
    """An arrow in the image, tail and head: the legal direction in the zone."""
    within_deg: Annotated[float, Meta(gt=90, le=180)] = 120.0
    """An offence only beyond this angle to the legal direction,"""
    at_least_m: Positive = 8.0
    """over at least this stretch of road,"""
    at_least_s: Positive = 0.5
    """and for at least this time."""

    def __post_init__(self) -> None:
        require_arrow(self, self.direction_px)

    @property
    def points_px(self) -> tuple[PointPx, ...]:
        """See `Rule.points_px`."""
        return self.direction_px


W = TypeVar("W", bound=WrongWayRule)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of a path, with a straight motion fitted to it."""

    rows: Rows
    displacement_m: Floats
    """(2,) f8"""
    biggest_step: float
    """The longest step between sightings as a share of the displacement."""

    @property
    def length_m(self) -> float:
        """Straight distance from its begin to its end."""
        return float(np.hypot(*self.displacement_m))

    @property
    def lasted_s(self) -> float:
        """Time from its first sighting to its last."""
        return float(self.rows["captured_s"][-1] - self.rows["captured_s"][0])


class WrongWay(StatelessEvaluator[W]):
    """A wrong-way rule of a site. Raises ConfigError if the site has no calibration."""

    def __init__(self, context: CameraContext, rule: W) -> None:
        super().__init__(context, rule)
        self.legal = RoadPlane(context, rule).direction(rule.direction_px)

    def update(self, history: TrackHistory, fresh: Rows) -> Offence | None:
        """Evaluate the history so far."""
        if self.kind_name in history.reported:
            return None
        stretch = self._stretch(history)
        return self._offence(history, stretch) if stretch is not None and self._is_against(stretch) else None

    def _stretch(self, history: TrackHistory) -> Stretch | None:
        """The stretch on which the progress dropped most; None if it is too short."""
        rows = self._candidates(history)
        if len(rows) < FEWEST:
            return None
        position_m = smoothed(np.ascontiguousarray(rows["position_m"]))
        along_m = position_m @ self.legal
        first, last = largest_drop(along_m)
        if last - first < FEWEST - 1 or along_m[first] - along_m[last] < -self.rule.at_least_m * self._cosine:
            return None
        return fit(rows[first : last + 1], position_m[first : last + 1])

    def _candidates(self, history: TrackHistory) -> Rows:
        """The latest uninterrupted sightings in the zone with a position and comparable capture times."""
        rows = history.rows
        usable = self.context.inside(rows, self.rule.zone) & (rows["captured_s"] > history.steady_since_s)
        rows = rows[usable & np.isfinite(rows["position_m"]).all(axis=1)]
        gaps = np.flatnonzero(np.diff(rows["captured_s"]) > LONGEST_GAP_S)
        return np.asarray(rows[gaps[-1] + 1 :] if len(gaps) else rows)

    @property
    def _cosine(self) -> float:
        """Of the smallest angle that is an offence; negative."""
        return math.cos(math.radians(self.rule.within_deg))

    def _is_against(self, stretch: Stretch) -> bool:
        far_enough = stretch.length_m >= self.rule.at_least_m and stretch.lasted_s >= self.rule.at_least_s
        against = float(stretch.displacement_m @ self.legal) < self._cosine * stretch.length_m
        smooth = stretch.biggest_step <= BIGGEST_STEP
        return far_enough and against and smooth and moved_by_its_height(stretch.rows)

    def _offence(self, history: TrackHistory, stretch: Stretch) -> Offence | None:
        began_s, ended_s = (float(t) for t in stretch.rows["captured_s"][[0, -1]])
        breach = self.breach(history, began_s, ended_s)
        if breach is None:
            return None
        instants = {"entry": began_s, "exit": ended_s} | self._entrance(history, began_s)
        return breach.offence(ended_s, instants, self._reason(stretch))

    def _entrance(self, history: TrackHistory, began_s: float) -> dict[str, float]:
        """The instant of entering the zone, if the stretch begins there."""
        zone_s = entered_s(self.context, self.rule.zone, history)
        return {"zone": zone_s} if zone_s is not None and 0 <= began_s - zone_s <= LONGEST_GAP_S else {}

    def _reason(self, stretch: Stretch) -> Reason:
        angle = math.degrees(math.acos(max(-1.0, float(stretch.displacement_m @ self.legal) / stretch.length_m)))
        return Reason(
            "drove_wrong_way", {"length_m": stretch.length_m, "lasted_s": stretch.lasted_s, "angle_deg": angle}
        )


def fit(rows: Rows, position_m: Floats) -> Stretch:
    """Fit a uniform straight motion (least squares) to a stretch of at least two sightings."""
    since_s = rows["captured_s"] - rows["captured_s"].mean()
    velocity = since_s @ position_m / (since_s @ since_s)
    displacement = velocity * (since_s[-1] - since_s[0])
    steps = np.hypot(*np.diff(position_m, axis=0).T)
    return Stretch(rows, displacement, float(steps.max() / max(np.hypot(*displacement), 1e-9)))


KIND = RuleKind(WrongWayRule, WrongWay[WrongWayRule])
