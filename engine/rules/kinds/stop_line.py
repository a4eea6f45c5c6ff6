"""`stop_line`: crosses the line on red and stands beyond it, without going on through.

Told when the red is over, or the vehicle is seen no more: who goes on through while it is still red has run the light,
which is another offence.
"""

from __future__ import annotations

import numpy as np

from engine.rules.evaluator import Offence
from engine.rules.kinds.red_light import SignalLine, standing_from
from engine.rules.path import Path
from engine.rules.signal_line import Passing
from engine.rules.track_history import TrackHistory
from engine.site.signals import StopLineRule
from engine.types import Phase


class OverStopLine(SignalLine[StopLineRule]):
    """A rule of a site against stopping beyond the line."""

    def judge(self, trail: TrackHistory, way: Path, ended: bool) -> Offence | None:
        passing = self.line.passing(trail, way)
        stood_s = self._stood_s(trail, passing) if passing else None
        if passing is None or stood_s is None or self.prohibited_since_s(passing, stood_s) is None:
            return None
        if self._ran_it(trail, passing) or not (ended or self._over(trail, stood_s)):
            return None
        account = (
            f"Crossed line {self.rule.line} while signal {'/'.join(self.rule.signal)} prohibited it, and stood beyond "
            f"it without going on into zone {self.rule.zone}."
        )
        return self.offence(trail, passing, "stands", stood_s, account)

    def _ran_it(self, trail: TrackHistory, passing: Passing) -> bool:
        """Did it go on through on red after all? That is another offence."""
        through_s = self.through_s(passing)
        on_red = through_s is not None and self.prohibited_since_s(passing, through_s) is not None
        return on_red or "red_light" in trail.told

    def _stood_s(self, trail: TrackHistory, passing: Passing) -> float | None:
        """When it had stood beyond the line for the rule's time, before it got into the zone."""
        least, _ = self.line.front_m(trail)
        times, through_s = passing.way.captured_s, self.through_s(passing)
        beyond = self.line.ahead_m(passing.way.position_m) + least >= self.rule.beyond_m
        rows = np.flatnonzero(beyond & (times >= passing.late_s) & (times < (through_s or np.inf)))
        row = standing_from(times[rows], passing.way.position_m[rows], self.rule.stand_s)
        return None if row is None else float(times[rows[row]] + self.rule.stand_s)

    def _over(self, trail: TrackHistory, stood_s: float) -> bool:
        """Has the signal surely stopped prohibiting by now?"""
        scene, now_s = self.scene, float(trail.rows["captured_s"][-1])
        instants = trail.between(stood_s, now_s)["captured_s"].tolist()
        said = {scene.signals.at(scene.camera, signal, at_s) for signal in self.rule.signal for at_s in instants[-16:]}
        return bool(said - set(self.prohibits) - {Phase.UNKNOWN, Phase.DARK})
