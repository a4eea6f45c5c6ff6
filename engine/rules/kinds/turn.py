"""`prohibited_turn`, turn: from one zone into another that must not be reached from it."""

from __future__ import annotations

from engine.rules.by_trail import ByTrail
from engine.rules.kind import Offence
from engine.rules.passage import arrival, departed_row
from engine.rules.trail import Trail
from engine.rules.way import Way, moved_by_its_height
from engine.site.rules import TurnRule


class Turn(ByTrail[TurnRule]):
    """A turn that is forbidden on a site."""

    def judge(self, trail: Trail, way: Way, ended: bool) -> Offence | None:
        """From the last sighting in the zone to the first stay in an exit."""
        row = departed_row(self.scene, way, self.rule.zone)
        found = None if row is None else arrival(self.scene, way.part(row + 1, len(way)), self.rule.exits)
        if row is None or found is None:
            return None
        left_s = float(way.captured_s[row])
        if found.at_s - left_s > self.rule.within_s or not moved_by_its_height(trail.between(left_s, found.proved_s)):
            return None
        charge = self.law.charge(trail, left_s, found.proved_s)
        account = f"Came from zone {self.rule.zone} and went to {found.zone}, where that is forbidden."
        return None if charge is None else charge.offence(found.at_s, {"entry": left_s, "exit": found.at_s}, account)
