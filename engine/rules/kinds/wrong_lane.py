"""`sign_or_marking`, wrong lane: comes to the end of a lane in that lane, and leaves by an exit it does not lead to."""

from __future__ import annotations

import numpy as np

from engine.rules.evaluator import Offence
from engine.rules.passage import arrival
from engine.rules.path import Path
from engine.rules.path_rule import PathRule
from engine.rules.track_history import TrackHistory
from engine.rules.zones import crossings, line_of
from engine.site.rules import MarkingRule

FEWEST = 3
HELD_S = 1.5
"""The lane must have been held for so long before its end,"""
HELD = 0.8
"""by this share of the sightings, which are so many at least (`FEWEST`)."""


class WrongLane(PathRule[MarkingRule]):
    """A lane before a junction, and where it does not lead."""

    def judge(self, trail: TrackHistory, way: Path, ended: bool) -> Offence | None:
        """Every crossing of the lane's end."""
        for at_s, direction in crossings(way.rows, line_of(self.scene, self.rule.line)):
            if direction > 0 and self._held_the_lane(way, at_s):
                return self._offence(trail, way, float(at_s))
        return None

    def _held_the_lane(self, way: Path, at_s: float) -> bool:
        before = way.rows[(way.captured_s >= at_s - HELD_S) & (way.captured_s < at_s)]
        return len(before) >= FEWEST and bool(self.scene.inside(before, self.rule.zone).mean() >= HELD)

    def _offence(self, trail: TrackHistory, way: Path, at_s: float) -> Offence | None:
        after = way.part(int(np.searchsorted(way.captured_s, at_s)), len(way))
        found = arrival(self.scene, after, self.rule.exits)
        if found is None or found.at_s - at_s > self.rule.within_s:
            return None
        charge = self.law.charge(trail, at_s, found.proved_s)
        account = f"Took lane {self.rule.zone} and left by {found.zone}, where that lane does not lead."
        return None if charge is None else charge.offence(found.at_s, {"lane_end": at_s, "exit": found.at_s}, account)
