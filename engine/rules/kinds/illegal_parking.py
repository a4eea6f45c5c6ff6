"""`illegal_parking`: stands where parking is forbidden, for longer than a stop, see `engine.rules.standing`."""

from __future__ import annotations

from engine.errors import ConfigError
from engine.rules.evaluator import CameraContext, RuleKind
from engine.rules.standing import Standing, StandingRule


class IllegalParkingRule(StandingRule, frozen=True, kw_only=True, tag="illegal_parking"):
    """Stands where parking is forbidden, for longer than a stop."""


class IllegalParking(Standing[IllegalParkingRule]):
    """A rule of a site against parking. Raises ConfigError if its dwell is that of a stop."""

    def __init__(self, context: CameraContext, rule: IllegalParkingRule) -> None:
        super().__init__(context, rule)
        for kind in self.versions():
            if kind.at_least_s and rule.dwell_s <= kind.at_least_s:
                raise ConfigError(
                    f"site {context.site.name}: rule {rule.name}: dwell_s must be above {kind.at_least_s:g}, "
                    "a shorter halt is a stop"
                )


KIND = RuleKind(IllegalParkingRule, IllegalParking)
