"""`prohibited_turn`, turn: from one zone into another that must not be reached from it."""

from __future__ import annotations

from engine.rules.evaluator import Offence
from engine.rules.passage import arrival, departed_row
from engine.rules.path import Path, moved_by_its_height
from engine.rules.path_rule import PathRule
from engine.rules.track_history import TrackHistory
from engine.site.rules import TurnRule


class Turn(PathRule[TurnRule]):
    """A turn that is forbidden on a site."""

    def judge(self, trail: TrackHistory, way: Path, ended: bool) -> Offence | None:
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
