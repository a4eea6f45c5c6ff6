"""`oncoming_lane`: drives on the oncoming side of a two-way road, against its legal direction. Always for an officer.

The stretch is found and proved as that of `wrong_way`. Who passed a standing vehicle is not told: he may have had to.
"""

from __future__ import annotations

import dataclasses

from engine.rules.evaluator import Offence
from engine.rules.kinds.wrong_way import Stretch, WrongWay
from engine.rules.obstacle import stood_near
from engine.rules.path import smoothed
from engine.rules.track_history import TrackHistory
from engine.site.rules import OncomingLaneRule


class OncomingLane(WrongWay):
    """An oncoming-lane rule of a site."""

    rule: OncomingLaneRule

    def _offence(self, trail: TrackHistory, stretch: Stretch) -> Offence | None:
        if self._passed_an_obstacle(trail, stretch):
            return None
        offence = super()._offence(trail, stretch)
        return dataclasses.replace(offence, outcome="officer") if offence else None

    def _passed_an_obstacle(self, trail: TrackHistory, stretch: Stretch) -> bool:
        """Did a vehicle stand near any part of the stretch?"""
        rows = stretch.rows[:: max(1, len(stretch.rows) // 4)]
        places = smoothed(rows["position_m"].copy())
        return any(
            stood_near(self.law.scene, trail, float(at_s), place_m, self.rule.obstacle_m)
            for at_s, place_m in zip(rows["captured_s"], places, strict=True)
        )
