"""`red_light`: crosses the line while the signal prohibits it, and drives on through.

An offence needs a vehicle that was seen before the line, whose front crossed it after the signal had certainly
prohibited that for the rule's grace, and that came into the zone beyond, either without standing in between or with the
signal prohibiting all the time. A phase that is uncertain at any moment of the crossing proves nothing.
"""

from __future__ import annotations

from engine.rules.evaluator import Offence, RuleKind
from engine.rules.path import Path
from engine.rules.signal_line import Passing, S, SignalLineEvaluator, SignalLineRule, standing_from
from engine.rules.track_history import TrackHistory
from engine.types import Reason

STAND_S = 1.0
"""A vehicle that does not move for this time stands."""


class RedLightRule(SignalLineRule, frozen=True, kw_only=True, tag="red_light"):
    """Crosses the line on red and drives on into the zone."""


class RedLight(SignalLineEvaluator[S]):
    """A rule of a site against running a red light."""

    def evaluate(self, history: TrackHistory, path: Path, ended: bool) -> Offence | None:
        """The last path over the line, if it leads into the zone."""
        passing = self.line.passing(history, path)
        through_s = self.through_s(passing) if passing else None
        if passing is None or through_s is None:
            return None
        since_s = self.prohibited_since_s(passing, through_s if _halted(passing, through_s) else passing.late_s)
        if since_s is None:
            return None
        reason = Reason(
            "ran_red_light",
            {
                "signal": "/".join(self.rule.signal),
                "prohibited_s": passing.late_s - since_s,
                "line": self.rule.line,
                "zone": self.rule.zone,
                "later_s": through_s - passing.late_s,
            },
        )
        return self.offence(history, passing, "through", through_s, reason)


def _halted(passing: Passing, through_s: float) -> bool:
    """True if the vehicle stood between the line and the zone."""
    times = passing.path.captured_s
    between = (times >= passing.late_s) & (times <= through_s)
    return standing_from(times[between], passing.path.position_m[between], STAND_S) is not None


KIND = RuleKind(RedLightRule, RedLight[RedLightRule])
