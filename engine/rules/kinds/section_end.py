"""`average_speed`, one end of it: who crosses the line is told once, for the plate to be read.

The drive is no matter of one camera: `engine.section` puts both ends together.
"""

from __future__ import annotations

from dataclasses import replace

from engine.rules.evaluator import CameraContext, Offence, RuleContext, require_calibration
from engine.rules.track_history import Rows, TrackHistory
from engine.rules.zones import crossings, line_of
from engine.site.looks import SectionEndRule

CROSSING = "crossing"
"""Name of the instant."""
WAIT_S = 1.5
"""The vehicle is looked at so long before and after the crossing: somewhere there its plate is largest."""
FORWARD = 1


class SectionEnd:
    """A rule of a site at one end of a section. Raises ConfigError without a calibration."""

    def __init__(self, scene: CameraContext, rule: SectionEndRule) -> None:
        require_calibration(scene, rule)
        self.rule = rule
        self.law = RuleContext.of(scene, rule)
        self._line = line_of(scene, rule.line)

    def watch(self) -> SectionEnd:
        """The rule itself: everything it needs of a vehicle is in the trail."""
        return self

    def look(self, trail: TrackHistory, fresh: Rows) -> Offence | None:
        """Tell the crossing when some more has been seen of the vehicle."""
        return self._crossed(trail, WAIT_S)

    def end(self, trail: TrackHistory) -> Offence | None:
        """Tell the crossing now: where another track goes on with the vehicle, that one has not seen it."""
        return self._crossed(trail, 0.0)

    def _crossed(self, trail: TrackHistory, wait_s: float) -> Offence | None:
        """The first crossing forward under a steady clock, `wait_s` ago and more."""
        if self.law.name in trail.told:
            return None
        rows = trail.rows[trail.rows["captured_s"] > trail.steady_since_s]
        forward = [at_s for at_s, way in crossings(rows, self._line).tolist() if way == FORWARD]
        if not forward or rows["captured_s"][-1] - forward[0] < wait_s:
            return None
        times_s = rows["captured_s"]
        began_s = float(times_s[times_s >= forward[0] - WAIT_S][0])
        ended_s = float(times_s[times_s <= forward[0] + WAIT_S][-1])
        charge = self.law.charge(trail, began_s, ended_s)
        if charge is None:
            return None
        return replace(charge.offence(forward[0], {CROSSING: forward[0]}), confirm=self.rule.means)
