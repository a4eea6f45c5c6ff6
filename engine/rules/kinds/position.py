"""`overtaking_or_position`, position: drives on a part of the carriageway that is not for driving.

A hatched island, tram tracks of the other direction, a lane that is closed to the class that the rule names.
"""

from __future__ import annotations

from engine.rules.driving import stays_in
from engine.rules.evaluator import Offence
from engine.rules.path import Path
from engine.rules.path_rule import PathRule
from engine.rules.track_history import TrackHistory
from engine.site.rules import OvertakingRule


class Position(PathRule[OvertakingRule]):
    """A rule of a site on the position on the carriageway."""

    def judge(self, trail: TrackHistory, way: Path, ended: bool) -> Offence | None:
        """The first stay that is long enough."""
        for stay in stays_in(self.scene, self.ground, way, self.rule.zone):
            proved_s = stay.proved_s(self.rule.at_least_m, self.rule.at_least_s)
            charge = None if proved_s is None else self.law.charge(trail, stay.entered_s, proved_s)
            if proved_s is not None and charge is not None:
                account = f"Drove {stay.driven_m[-1]:.0f} m in zone {self.rule.zone}."
                return charge.offence(proved_s, stay.instants(proved_s), account)
        return None
