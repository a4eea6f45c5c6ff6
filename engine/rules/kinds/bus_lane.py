"""`bus_lane`: drives in the lane for buses, over a distance and for a time, in its hours.

Dashed entries (`open_zones`) do not count. Where the lane may be used for turning off (`turn_offs`), who has not driven
`turn_off_m` of it is judged only once he is seen to drive on elsewhere. A lorry as large as a bus goes to an officer:
a detector does not tell the two apart surely enough.
"""

from __future__ import annotations

from engine.rules.driving import Stay, stays_in
from engine.rules.evaluator import Offence
from engine.rules.path import Path
from engine.rules.path_rule import PathRule
from engine.rules.size import HEAVY, is_heavy
from engine.rules.track_history import TrackHistory
from engine.site.rules import BusLaneRule

TURNED_S = 5.0
"""Who is this long out of the lane and in no exit has not turned off."""


class BusLane(PathRule[BusLaneRule]):
    """A bus-lane rule of a site."""

    def judge(self, trail: TrackHistory, way: Path, ended: bool) -> Offence | None:
        """Every stay in the lane; who was not seen to stay out of an exit may have turned off."""
        stays = stays_in(self.scene, self.ground, way, self.rule.zone, self.rule.open_zones)
        return next(filter(None, (self._offence(trail, stay) for stay in stays)), None)

    def _offence(self, trail: TrackHistory, stay: Stay) -> Offence | None:
        proved_s = stay.proved_s(self.rule.at_least_m, self.rule.at_least_s)
        charge = None if proved_s is None else self.law.charge(trail, stay.entered_s, proved_s)
        if proved_s is None or charge is None or self._may_turn_off(stay):
            return None
        large = bool(trail.plausible & HEAVY) and is_heavy(stay.way.rows, self.scene.site.calibration)
        doubt = ("As large as a bus: an officer must say whether it is one.",) if large else ()
        account = f"Drove {stay.driven_m[-1]:.0f} m in the bus lane {self.rule.zone}."
        return charge.offence(proved_s, stay.instants(proved_s), account, *doubt, outcome="officer" if large else None)

    def _may_turn_off(self, stay: Stay) -> bool:
        """Has it used the lane for turning off, or may it still?"""
        if not self.rule.turn_offs or stay.driven_m[-1] >= self.rule.turn_off_m:
            return False
        if any(self.scene.inside(stay.after.rows, zone).any() for zone in self.rule.turn_offs):
            return True
        return not stay.left or stay.after.captured_s[-1] - stay.after.captured_s[0] < TURNED_S
