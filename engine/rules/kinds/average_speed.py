"""`average_speed`, one end of a section: every vehicle that crosses the line is reported once, so that its plate is
read.

A drive does not belong to one camera: `engine.section` matches the crossings of both ends.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from engine.rules.evaluator import CameraContext, Offence, RuleKind, StatelessEvaluator, require_calibration
from engine.rules.second_look import LookRule
from engine.rules.track_history import Rows, TrackHistory
from engine.rules.zones import crossings
from engine.types import RuleFinding, SectionCrossing, Violation

CROSSING = "crossing"
"""Name of the instant."""
WAIT_S = 1.5
"""Sightings this long before and after the crossing go with it: the plate is largest in one of them."""
FORWARD = 1


class SectionEndRule(LookRule, frozen=True, kw_only=True, tag="average_speed"):
    """A vehicle that crosses the line forward enters or leaves a section."""

    means: ClassVar[str] = "section"
    line: str
    a_minute: Annotated[float, Meta(gt=0, le=600)] = 30.0

    @property
    def lines(self) -> tuple[str, ...]:
        """See `Rule.lines`."""
        return (self.line,)


class SectionEnd(StatelessEvaluator[SectionEndRule]):
    """A rule of a site at one end of a section. Raises ConfigError if the site has no calibration."""

    def __init__(self, context: CameraContext, rule: SectionEndRule) -> None:
        require_calibration(context, rule)
        super().__init__(context, rule)
        self._line = context.line(rule.line)

    def as_finding(self, violation: Violation) -> RuleFinding:
        """A crossing: the other end decides whether the drive was too fast."""
        return SectionCrossing(violation)

    def update(self, history: TrackHistory, fresh: Rows) -> Offence | None:
        """Report the crossing when the vehicle was seen for some time after it."""
        return self._crossed(history, WAIT_S)

    def end(self, history: TrackHistory) -> Offence | None:
        """Report the crossing now, even if another track continues the vehicle: that one has not seen it."""
        return self._crossed(history, 0.0)

    def _crossed(self, history: TrackHistory, wait_s: float) -> Offence | None:
        """The first crossing forward with comparable capture times, at least `wait_s` ago."""
        if self.kind_name in history.reported:
            return None
        rows = history.rows[history.rows["captured_s"] > history.steady_since_s]
        forward = [at_s for at_s, direction in crossings(rows, self._line).tolist() if direction == FORWARD]
        if not forward or rows["captured_s"][-1] - forward[0] < wait_s:
            return None
        times_s = rows["captured_s"]
        began_s = float(times_s[times_s >= forward[0] - WAIT_S][0])
        ended_s = float(times_s[times_s <= forward[0] + WAIT_S][-1])
        breach = self.breach(history, began_s, ended_s)
        return None if breach is None else breach.offence(forward[0], {CROSSING: forward[0]})


KIND = RuleKind(SectionEndRule, SectionEnd)
