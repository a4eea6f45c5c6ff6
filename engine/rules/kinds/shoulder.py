"""`shoulder_or_sidewalk`: drives on the shoulder or the footway, over a distance and for a time.

Who halts there has pulled over, and who starts from a halt pulls out: neither is told unless `pull_over_m` were driven
without a halt. Who is still on it when he leaves the picture is told only if he was not slowing down.
"""

from __future__ import annotations

import numpy as np

from engine.rules.driving import Stay, stays_in
from engine.rules.evaluator import Offence
from engine.rules.path import Path
from engine.rules.path_rule import PathRule
from engine.rules.track_history import TrackHistory
from engine.site.rules import ShoulderRule
from engine.types import Floats

HALT_S = 2.0
"""Longer than this from one point of the way to the next: it halted between."""
STEADY = 0.7
"""Who leaves the picture at less than this share of his mean pace was slowing down,"""
PACE_MPS = 5.0
"""and so was who is slower than this."""
LATEST_S = 1.0
"""The pace at the end is that of the last stretch of this time."""


class Shoulder(PathRule[ShoulderRule]):
    """A rule of a site against driving on the shoulder or the footway."""

    def judge(self, trail: TrackHistory, way: Path, ended: bool) -> Offence | None:
        """What is over: a stay that was left, a way too long for pulling over, who left the picture on the shoulder."""
        stays = stays_in(self.scene, self.ground, way, self.rule.zone, self.rule.open_zones)
        return next(filter(None, (self._offence(trail, stay, ended) for stay in stays)), None)

    def _offence(self, trail: TrackHistory, stay: Stay, ended: bool) -> Offence | None:
        proved_s = stay.proved_s(self.rule.at_least_m, self.rule.at_least_s)
        charge = None if proved_s is None else self.law.charge(trail, stay.entered_s, proved_s)
        if proved_s is None or charge is None or not self._drove_through(stay, ended):
            return None
        account = f"Drove {stay.driven_m[-1]:.0f} m in zone {self.rule.zone} without pulling over."
        return charge.offence(proved_s, stay.instants(proved_s), account)

    def _drove_through(self, stay: Stay, ended: bool) -> bool:
        """Is it clear that the vehicle neither pulled over nor out?"""
        parts_m = self._unhalted_m(stay)
        if parts_m.max() >= self.rule.pull_over_m:
            return True
        return len(parts_m) == 1 and (stay.left or (ended and _keeps_its_pace(stay.way)))

    def _unhalted_m(self, stay: Stay) -> Floats:
        """Lengths of the parts of the way between halts; one where it did not halt."""
        corners = self.ground.corners(stay.way)
        times = np.append(stay.way.captured_s[corners], stay.way.captured_s[-1])
        halts = corners[np.flatnonzero(np.diff(times) > HALT_S)]
        return np.asarray(np.diff(np.concatenate([[0.0], stay.driven_m[halts], stay.driven_m[-1:]])))


def _keeps_its_pace(way: Path) -> bool:
    """Was it driving on when it was last seen?"""
    latest = int(np.searchsorted(way.captured_s, way.captured_s[-1] - LATEST_S))
    return _pace_mps(way, latest) >= max(PACE_MPS, STEADY * _pace_mps(way, 0))


def _pace_mps(way: Path, first: int) -> float:
    """Mean speed from a row to the last, by the places themselves."""
    lasted_s = float(way.captured_s[-1] - way.captured_s[first])
    moved_m = float(np.hypot(*(way.position_m[-1] - way.position_m[first])))
    return moved_m / lasted_s if lasted_s > 0 else 0.0
