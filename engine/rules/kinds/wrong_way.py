"""`wrong_way`: against the legal direction of a road or lane.

Proved by a displacement on the ground over a distance and a time, never by a momentary heading. The progress of the
vehicle along the legal direction is taken; its greatest fall is the stretch in question. It counts when no single step
makes up most of it (a switch of identity jumps), and when the foot point moved through the picture by most of the
height of the box: neither a detector's error nor hiding a part of a vehicle that stands does that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.rules.evaluator import CameraContext, Offence, RuleContext
from engine.rules.path import LONGEST_GAP_S, RoadPlane, moved_by_its_height, smoothed
from engine.rules.track_history import Rows, TrackHistory
from engine.rules.zones import entered_s
from engine.site import WrongWayRule
from engine.types import Floats
from kernels.path import largest_drop

FEWEST = 5
"""Sightings that make a stretch."""
BIGGEST_STEP = 0.4
"""A step from one sighting to the next that is a larger share of the stretch is a switch of identity."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A way driven, as a straight motion fitted to it."""

    rows: Rows
    displacement_m: Floats
    """(2,) f8"""
    biggest_step: float
    """The longest step between sightings as a share of the displacement."""

    @property
    def length_m(self) -> float:
        return float(np.hypot(*self.displacement_m))

    @property
    def lasted_s(self) -> float:
        return float(self.rows["captured_s"][-1] - self.rows["captured_s"][0])


class WrongWay:
    """A wrong-way rule of a site."""

    def __init__(self, scene: CameraContext, rule: WrongWayRule) -> None:
        self.rule = rule
        self.law = RuleContext.of(scene, rule)
        self.legal = RoadPlane(scene, rule).direction(rule.direction_px)

    def watch(self) -> WrongWay:
        """The rule itself: everything it needs of a vehicle is in the trail."""
        return self

    def look(self, trail: TrackHistory, fresh: Rows) -> Offence | None:
        """Judge the trail as it is now."""
        if self.law.name in trail.told:
            return None
        stretch = self._stretch(trail)
        return self._offence(trail, stretch) if stretch is not None and self._guilty(stretch) else None

    def end(self, trail: TrackHistory) -> Offence | None:
        """Nothing is left to say: the last sightings have been looked at."""
        return None

    def _stretch(self, trail: TrackHistory) -> Stretch | None:
        """The way on which the vehicle fell back most, if it is long enough to be looked at."""
        rows = self._candidates(trail)
        if len(rows) < FEWEST:
            return None
        position_m = smoothed(np.ascontiguousarray(rows["position_m"]))
        along_m = position_m @ self.legal
        first, last = largest_drop(along_m)
        if last - first < FEWEST - 1 or along_m[first] - along_m[last] < -self.rule.at_least_m * self._cosine:
            return None
        return fitted(rows[first : last + 1], position_m[first : last + 1])

    def _candidates(self, trail: TrackHistory) -> Rows:
        """The latest uninterrupted sightings in the zone, under one steady clock, on the ground."""
        rows = trail.rows
        usable = self.law.scene.inside(rows, self.rule.zone) & (rows["captured_s"] > trail.steady_since_s)
        rows = rows[usable & np.isfinite(rows["position_m"]).all(axis=1)]
        gaps = np.flatnonzero(np.diff(rows["captured_s"]) > LONGEST_GAP_S)
        return np.asarray(rows[gaps[-1] + 1 :] if len(gaps) else rows)

    @property
    def _cosine(self) -> float:
        """Of the mildest angle that is guilty; negative."""
        return math.cos(math.radians(self.rule.within_deg))

    def _guilty(self, stretch: Stretch) -> bool:
        far_enough = stretch.length_m >= self.rule.at_least_m and stretch.lasted_s >= self.rule.at_least_s
        against = float(stretch.displacement_m @ self.legal) < self._cosine * stretch.length_m
        smooth = stretch.biggest_step <= BIGGEST_STEP
        return far_enough and against and smooth and moved_by_its_height(stretch.rows)

    def _offence(self, trail: TrackHistory, stretch: Stretch) -> Offence | None:
        began_s, ended_s = (float(t) for t in stretch.rows["captured_s"][[0, -1]])
        charge = self.law.charge(trail, began_s, ended_s)
        if charge is None:
            return None
        instants = {"entry": began_s, "exit": ended_s} | self._entrance(trail, began_s)
        return charge.offence(ended_s, instants, self._account(stretch))

    def _entrance(self, trail: TrackHistory, began_s: float) -> dict[str, float]:
        """The instant of coming into the zone, where the stretch begins with it."""
        zone_s = entered_s(self.law.scene, self.rule.zone, trail)
        return {"zone": zone_s} if zone_s is not None and 0 <= began_s - zone_s <= LONGEST_GAP_S else {}

    def _account(self, stretch: Stretch) -> str:
        angle = math.degrees(math.acos(max(-1.0, float(stretch.displacement_m @ self.legal) / stretch.length_m)))
        return (
            f"Moved {stretch.length_m:.1f} m in {stretch.lasted_s:.1f} s at {angle:.0f} degrees "
            "to the legal direction of the zone."
        )


def fitted(rows: Rows, position_m: Floats) -> Stretch:
    """Fit an even straight motion (least squares) to a stretch of at least two sightings."""
    since_s = rows["captured_s"] - rows["captured_s"].mean()
    velocity = since_s @ position_m / (since_s @ since_s)
    displacement = velocity * (since_s[-1] - since_s[0])
    steps = np.hypot(*np.diff(position_m, axis=0).T)
    return Stretch(rows, displacement, float(steps.max() / max(np.hypot(*displacement), 1e-9)))
