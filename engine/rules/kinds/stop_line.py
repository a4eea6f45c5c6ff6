"""`stop_line`: crosses the line on red and stands beyond it, without driving on.

Reported when the red is over or the track ends: a vehicle that drives on while it is still red has run the light, which
is another offence.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from msgspec import Meta

from engine.config import Positive
from engine.rules.evaluator import Offence, RuleKind
from engine.rules.path import Path
from engine.rules.signal_line import Passing, SignalLineEvaluator, SignalLineRule, standing_from
from engine.rules.track_history import TrackHistory
from engine.types import Phase, Reason


class StopLineRule(SignalLineRule, frozen=True, kw_only=True, tag="stop_line"):
    """Crosses the line on red and stands beyond it, without driving on into the zone."""

    stand_s: Positive = 1.0
    """A vehicle that does not move for this time stands."""
    beyond_m: Annotated[float, Meta(ge=0)] = 0.7
    """Its front is certainly this far over the line. Seen from behind, its length is taken as that of the shortest
    ordinary vehicle of its class; the default allows for microcars."""


class OverStopLine(SignalLineEvaluator[StopLineRule]):
    """A rule of a site against stopping beyond the line."""

    def evaluate(self, history: TrackHistory, path: Path, ended: bool) -> Offence | None:
        """The last path over the line, if the vehicle stands beyond it."""
        passing = self.line.passing(history, path)
        stood_s = self._stood_s(history, passing) if passing else None
        if passing is None or stood_s is None or self.prohibited_since_s(passing, stood_s) is None:
            return None
        if self._ran_it(history, passing) or not (ended or self._is_over(history, stood_s)):
            return None
        reason = Reason(
            "stopped_beyond_line",
            {"line": self.rule.line, "signal": "/".join(self.rule.signal), "zone": self.rule.zone},
        )
        return self.offence(history, passing, "stands", stood_s, reason)

    def _ran_it(self, history: TrackHistory, passing: Passing) -> bool:
        """True if the vehicle drove on through on red after all, which is another offence."""
        through_s = self.through_s(passing)
        on_red = through_s is not None and self.prohibited_since_s(passing, through_s) is not None
        return on_red or "red_light" in history.reported

    def _stood_s(self, history: TrackHistory, passing: Passing) -> float | None:
        """When the vehicle had stood beyond the line for the rule's time, before it came into the zone."""
        least, _ = self.line.front_m(history)
        times, through_s = passing.path.captured_s, self.through_s(passing)
        beyond = self.line.ahead_m(passing.path.position_m) + least >= self.rule.beyond_m
        rows = np.flatnonzero(beyond & (times >= passing.late_s) & (times < (through_s or np.inf)))
        row = standing_from(times[rows], passing.path.position_m[rows], self.rule.stand_s)
        return None if row is None else float(times[rows[row]] + self.rule.stand_s)

    def _is_over(self, history: TrackHistory, stood_s: float) -> bool:
        """True if the signal has certainly stopped prohibiting."""
        camera, signals = self.context.camera, self.context.signals
        instants = history.between(stood_s, float(history.rows["captured_s"][-1]))["captured_s"].tolist()
        shown = {signals.at(camera, signal, at_s) for signal in self.rule.signal for at_s in instants[-16:]}
        return bool(shown - set(self.prohibits) - {Phase.UNKNOWN, Phase.DARK})


KIND = RuleKind(StopLineRule, OverStopLine)
