"""`rail_crossing`: crosses the line before a closed level crossing and drives on, evaluated like `red_light`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import ClassVar

from engine.rules.evaluator import RuleKind
from engine.rules.kinds.red_light import RedLight
from engine.rules.signal_line import SignalLineRule
from engine.signals import CLOSED
from engine.types import Phase


class RailCrossingRule(SignalLineRule, frozen=True, kw_only=True, tag="rail_crossing"):
    """Crosses the line before a level crossing that is closed, and drives on into the zone."""


class RailCrossing(RedLight[RailCrossingRule]):
    """A rule of a site about a level crossing; a closed barrier prohibits as well."""

    prohibits: ClassVar[Collection[Phase]] = CLOSED

    def doubts(self) -> Iterator[str]:
        yield from super().doubts()
        if not any(signal.controller for signal in self.context.site.signals if signal.name in self.rule.signal):
            yield "a barrier is known by a controller only: without it, a closed one with dark lamps proves no offence"


KIND = RuleKind(RailCrossingRule, RailCrossing)
