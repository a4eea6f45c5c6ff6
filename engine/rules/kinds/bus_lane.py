"""`bus_lane`: drives in the lane for buses over a distance and for a time, in its hours.

Dashed entries (`open_zones`) do not count. If the lane may be used to turn off (`turn_offs`), a vehicle that has not
driven `turn_off_m` of it is judged only when it is seen to drive on elsewhere. A lorry as large as a bus goes to an
officer: a detector does not distinguish the two reliably.
"""

from __future__ import annotations

from engine.config import Positive
from engine.rules.driving import LaneRule, Stay, breaches, instants
from engine.rules.evaluator import Breach, Offence, RuleKind
from engine.rules.path import Path, PathRule
from engine.rules.track_history import TrackHistory
from engine.rules.vehicle_size import HEAVY, is_heavy
from engine.types import Outcome, Reason

TURNED_S = 5.0
"""A vehicle that is out of the lane for this long, and in no exit, has not turned off."""


class BusLaneRule(LaneRule, frozen=True, kw_only=True, tag="bus_lane"):
    """Drives in the lane for buses. Classes that `classes` or the catalogue do not name may use it."""

    turn_offs: tuple[str, ...] = ()
    """Zones behind the lane that may be reached through it: a vehicle that ends there has used it to turn off."""
    turn_off_m: Positive = 60.0
    """A vehicle needs at most this much of the lane to turn off."""

    @property
    def zones(self) -> tuple[str, ...]:
        """See `Rule.zones`."""
        return (self.zone, *self.open_zones, *self.turn_offs)


class BusLane(PathRule[BusLaneRule]):
    """A bus-lane rule of a site."""

    def evaluate(self, history: TrackHistory, path: Path, ended: bool) -> Offence | None:
        """Every stay in the lane; a vehicle that was not seen to stay out of an exit may have turned off."""
        found = breaches(self, history, path, self.rule.open_zones)
        return next((self._offence(history, *one) for one in found if not self._may_turn_off(one[0])), None)

    def _offence(self, history: TrackHistory, stay: Stay, breach: Breach) -> Offence:
        large = bool(history.plausible & HEAVY) and is_heavy(stay.path.rows, self.context.site.calibration)
        doubt = (Reason("size_of_bus"),) if large else ()
        drove = Reason("drove_in_bus_lane", {"length_m": stay.driven_m[-1], "zone": self.rule.zone})
        outcome = Outcome.OFFICER if large else None
        return breach.offence(breach.ended_s, instants(breach), drove, *doubt, outcome=outcome)

    def _may_turn_off(self, stay: Stay) -> bool:
        """True if the vehicle used the lane to turn off, or still may."""
        if not self.rule.turn_offs or stay.driven_m[-1] >= self.rule.turn_off_m:
            return False
        if any(self.context.inside(stay.after.rows, zone).any() for zone in self.rule.turn_offs):
            return True
        return not stay.left or stay.after.captured_s[-1] - stay.after.captured_s[0] < TURNED_S


KIND = RuleKind(BusLaneRule, BusLane)
