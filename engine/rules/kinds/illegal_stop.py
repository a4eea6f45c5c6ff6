"""`illegal_stop`: stands where stopping is forbidden, see `engine.rules.standing`."""

from __future__ import annotations

from collections.abc import Iterator

from engine.rules.evaluator import RuleKind
from engine.rules.standing import Standing, StandingRule


class IllegalStopRule(StandingRule, frozen=True, kw_only=True, tag="illegal_stop"):
    """Stands where stopping is forbidden. A halt of up to 5 minutes is a stop, a longer one parking."""


class IllegalStop(Standing[IllegalStopRule]):
    """A rule of a site against stopping."""

    def doubts(self) -> Iterator[str]:
        """A dwell that only parking has."""
        dwell_s = self.rule.dwell_s
        if any(kind.at_most_s and dwell_s > kind.at_most_s for kind in self.versions()):
            yield f"dwell_s {dwell_s:g} is longer than a stop: use illegal_parking"


KIND = RuleKind(IllegalStopRule, IllegalStop)
