"""`sign_or_marking`, no entry: comes into the zone from outside, past the sign if its place is drawn, and goes on."""

from __future__ import annotations

from engine.rules.driving import Stay, stays_in
from engine.rules.evaluator import Offence
from engine.rules.path import Path
from engine.rules.path_rule import PathRule
from engine.rules.track_history import TrackHistory
from engine.rules.zones import crossings, line_of
from engine.site.rules import MarkingRule

NEAR_S = 1.5
"""The sign is passed within this time of coming into the zone."""


class NoEntry(PathRule[MarkingRule]):
    """A no-entry sign of a site."""

    def judge(self, trail: TrackHistory, way: Path, ended: bool) -> Offence | None:
        """Every stay that the vehicle was seen to begin."""
        stays = stays_in(self.scene, self.ground, way, self.rule.zone)
        return next(filter(None, (self._offence(trail, stay) for stay in stays if stay.came)), None)

    def _offence(self, trail: TrackHistory, stay: Stay) -> Offence | None:
        proved_s = stay.proved_s(self.rule.at_least_m, self.rule.at_least_s)
        charge = None if proved_s is None else self.law.charge(trail, stay.entered_s, proved_s)
        if proved_s is None or charge is None or not self._past_the_sign(trail, stay):
            return None
        account = f"Came into zone {self.rule.zone} from outside and drove on {stay.driven_m[-1]:.0f} m."
        return charge.offence(stay.entered_s, stay.instants(proved_s), account)

    def _past_the_sign(self, trail: TrackHistory, stay: Stay) -> bool:
        """Did it come in where the sign is? True where the sign's place is not drawn."""
        if not self.rule.line:
            return True
        rows = trail.between(stay.entered_s - NEAR_S, stay.entered_s + NEAR_S)
        return bool(crossings(rows, line_of(self.scene, self.rule.line))[:, 1].sum() > 0)
