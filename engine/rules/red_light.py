"""`red_light` and `rail_crossing`: crosses the line while the signal prohibits it, and goes on through.

Guilty is who was seen before the line, whose front crossed it while the signal had surely prohibited that for the
rule's grace, and who got into the zone beyond without standing in between, or with the signal prohibiting all along. A
signal that nobody could tell, for a moment of the crossing even, convicts nobody.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from engine.rules.kind import Law, Offence, Scene, doubts
from engine.rules.stopline import Passing, StopLine
from engine.rules.trail import Rows, Trail
from engine.signals import CLOSED, NOT_GREEN, PROHIBITS
from engine.sitesignals import RailCrossingRule, RedLightRule, SignalLineRule
from engine.types import Floats, Phase

BEFORE_S = 0.4
"""The still that shows the vehicle before the line is so much older than the first instant it can have reached it."""
STAND_S = 1.0
STAND_M = 0.5
"""Who moves less than this in that time stands."""


class SignalLine:
    """What the rules about a line before a signal have in common."""

    prohibits: Collection[Phase] = PROHIBITS

    def __init__(self, scene: Scene, rule: SignalLineRule) -> None:
        self.rule = rule
        self.law = Law.of(scene, rule)
        self.line = StopLine(scene, rule)

    def prohibited_since_s(self, passing: Passing, ended_s: float) -> float | None:
        """Since when the signal has prohibited the crossing, if it did for the grace before it and up to `ended_s`."""
        began_s = passing.early_s - self.rule.grace_s
        scene = self.law.scene
        for section in self.rule.unless:
            if scene.signals.since_s(scene.camera, (section,), NOT_GREEN, passing.early_s, ended_s) is None:
                return None
        return scene.signals.since_s(scene.camera, self.rule.signal, self.prohibits, began_s, ended_s)

    def through_s(self, passing: Passing) -> float | None:
        """When the vehicle was first seen in the zone beyond the line; None while it was not."""
        beyond = self.law.scene.inside(passing.rows, self.rule.zone) & (passing.rows["captured_s"] > passing.late_s)
        return float(passing.rows["captured_s"][np.argmax(beyond)]) if beyond.any() else None

    def offence(
        self, trail: Trail, passing: Passing, decisive_s: float, ended_s: float, instant: str, account: str
    ) -> Offence | None:
        """The offence, if the law knows it at that time of such a vehicle."""
        kind = self.law.kind(decisive_s)
        part = kind.part(self.rule.variant) if kind else None
        if kind is None or part is None or not self.law.accuses(trail, kind):
            return None
        if not self.law.scene.hold(self.law.hours, passing.early_s, ended_s):
            return None
        before_s = max(float(trail.rows["captured_s"][0]), passing.early_s - BEFORE_S)
        return Offence(
            kind=kind,
            part=part,
            began_s=before_s,
            ended_s=ended_s,
            decisive_s=decisive_s,
            instants={"before": before_s, "line": passing.late_s, instant: ended_s},
            outcome=kind.outcome,
            reasons=(account, *doubts(part)),
        )


class RedLight(SignalLine):
    """A rule of a site against running a red light."""

    rule: RedLightRule | RailCrossingRule

    def watch(self) -> RedLight:
        """The rule itself: everything it needs of a vehicle is in the trail."""
        return self

    def look(self, trail: Trail, fresh: Rows) -> Offence | None:
        if self.law.name in trail.told:
            return None
        passing = self.line.passing(trail)
        through_s = self.through_s(passing) if passing else None
        if passing is None or through_s is None:
            return None
        return self._judge(trail, passing, through_s)

    def end(self, trail: Trail) -> Offence | None:
        """The signal may have become known only after the last look."""
        return self.look(trail, trail.rows[:0])

    def _judge(self, trail: Trail, passing: Passing, through_s: float) -> Offence | None:
        times = passing.rows["captured_s"]
        way = (times >= passing.late_s) & (times <= through_s)
        halted = standing_from(times[way], passing.position_m[way], STAND_S) is not None
        since_s = self.prohibited_since_s(passing, through_s if halted else passing.late_s)
        if since_s is None:
            return None
        account = (
            f"Signal {'/'.join(self.rule.signal)} had prohibited the crossing for at least "
            f"{passing.late_s - since_s:.1f} s when the front was over line {self.rule.line}; "
            f"went on into zone {self.rule.zone} {through_s - passing.late_s:.1f} s later."
        )
        return self.offence(trail, passing, passing.late_s, through_s, "through", account)


class RailCrossing(RedLight):
    """The same before a level crossing, whose barrier counts as well."""

    prohibits = CLOSED


def standing_from(times_s: Floats, position_m: Floats, stand_s: float) -> int | None:
    """The first row from which on the vehicle stays within `STAND_M` for `stand_s`; None where it never does."""
    for row, began_s in enumerate(times_s.tolist()):
        stay = (times_s >= began_s) & (times_s <= began_s + stand_s + 1e-6)
        lasted = times_s[-1] - began_s >= stand_s
        if not lasted:
            return None
        if np.hypot(*(position_m[stay] - position_m[row]).T).max() <= STAND_M:
            return row
    return None
