"""`oncoming_lane`: drives on the oncoming side of a two-way road, against its legal direction. Always for an officer.

The stretch is found and proved like that of `wrong_way`. It is no offence if a standing vehicle was passed.
"""

from __future__ import annotations

import dataclasses

from engine.config import Positive
from engine.rules.evaluator import Offence, RuleKind
from engine.rules.kinds.wrong_way import Stretch, WrongWay, WrongWayRule
from engine.rules.neighbours import stood_near
from engine.rules.path import smoothed
from engine.rules.track_history import TrackHistory
from engine.types import Outcome


class OncomingLaneRule(WrongWayRule, frozen=True, kw_only=True, tag="oncoming_lane"):
    """Drives on the oncoming side of a two-way road: the zone is that side, the arrow its legal direction."""

    at_least_m: Positive = 15.0
    at_least_s: Positive = 1.0
    obstacle_m: Positive = 30.0
    """No offence if a vehicle stood within this distance: it may have been passed."""


class OncomingLane(WrongWay[OncomingLaneRule]):
    """An oncoming-lane rule of a site."""

    def _offence(self, history: TrackHistory, stretch: Stretch) -> Offence | None:
        if self._passed_an_obstacle(history, stretch):
            return None
        offence = super()._offence(history, stretch)
        return dataclasses.replace(offence, outcome=Outcome.OFFICER) if offence else None

    def _passed_an_obstacle(self, history: TrackHistory, stretch: Stretch) -> bool:
        """True if a vehicle stood near any part of the stretch."""
        rows = stretch.rows[:: max(1, len(stretch.rows) // 4)]
        places = smoothed(rows["position_m"].copy())
        return any(
            stood_near(self.context, history, float(at_s), place_m, self.rule.obstacle_m)
            for at_s, place_m in zip(rows["captured_s"], places, strict=True)
        )


KIND = RuleKind(OncomingLaneRule, OncomingLane)
