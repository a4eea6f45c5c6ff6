"""`shoulder_or_sidewalk`: drives on the shoulder or the footway over a distance and for a time.

A vehicle that halts there has pulled over, and one that starts from a halt pulls out: neither is an offence unless it
drove `pull_over_m` without a halt. A vehicle that leaves the picture while still on the shoulder is reported only if it
was not slowing down.
"""

from __future__ import annotations

import numpy as np

from engine.config import Positive
from engine.rules.driving import LaneRule, Stay, breaches, instants
from engine.rules.evaluator import Offence, RuleKind
from engine.rules.path import Path, PathRule
from engine.rules.track_history import TrackHistory
from engine.types import Floats, Reason

HALT_S = 2.0
"""A longer time from one corner of the path to the next is a halt."""
STEADY = 0.7
"""A vehicle that leaves the picture at less than this share of its mean pace was slowing down,"""
PACE_MPS = 5.0
"""and so was one that is slower than this."""
LATEST_S = 1.0
"""The pace at the end is taken over this time."""


class ShoulderRule(LaneRule, frozen=True, kw_only=True, tag="shoulder_or_sidewalk"):
    """Drives on the shoulder or the footway."""

    at_least_m: Positive = 12.0
    pull_over_m: Positive = 50.0
    """A vehicle that halts after less than this, or starts from a halt, has pulled over."""


class Shoulder(PathRule[ShoulderRule]):
    """A rule of a site against driving on the shoulder or the footway."""

    def evaluate(self, history: TrackHistory, path: Path, ended: bool) -> Offence | None:
        """Every stay that is over or too long for pulling over."""
        for stay, breach in breaches(self, history, path, self.rule.open_zones):
            if self._drove_through(stay, ended):
                drove = Reason("drove_on_shoulder", {"length_m": stay.driven_m[-1], "zone": self.rule.zone})
                return breach.offence(breach.ended_s, instants(breach), drove)
        return None

    def _drove_through(self, stay: Stay, ended: bool) -> bool:
        """True if the vehicle certainly neither pulled over nor out."""
        parts_m = self._unhalted_m(stay)
        if parts_m.max() >= self.rule.pull_over_m:
            return True
        return len(parts_m) == 1 and (stay.left or (ended and _keeps_its_pace(stay.path)))

    def _unhalted_m(self, stay: Stay) -> Floats:
        """(K,) f8: lengths of the parts of the path between halts; one part if it did not halt."""
        corners = self.ground.corners(stay.path)
        times = np.append(stay.path.captured_s[corners], stay.path.captured_s[-1])
        halts = corners[np.flatnonzero(np.diff(times) > HALT_S)]
        return np.asarray(np.diff(np.concatenate([[0.0], stay.driven_m[halts], stay.driven_m[-1:]])))


def _keeps_its_pace(path: Path) -> bool:
    """True if the vehicle was not slowing down when it was last seen."""
    latest = int(np.searchsorted(path.captured_s, path.captured_s[-1] - LATEST_S))
    return _pace_mps(path, latest) >= max(PACE_MPS, STEADY * _pace_mps(path, 0))


def _pace_mps(path: Path, first: int) -> float:
    """Speed from a row to the last, by the straight distance."""
    lasted_s = float(path.captured_s[-1] - path.captured_s[first])
    moved_m = float(np.hypot(*(path.position_m[-1] - path.position_m[first])))
    return moved_m / lasted_s if lasted_s > 0 else 0.0


KIND = RuleKind(ShoulderRule, Shoulder)
