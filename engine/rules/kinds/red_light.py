"""`red_light` and `rail_crossing`: crosses the line while the signal prohibits it, and goes on through.

Guilty is who was seen before the line, whose front crossed it while the signal had surely prohibited that for the
rule's grace, and who got into the zone beyond without standing in between, or with the signal prohibiting all along. A
signal that nobody could tell, for a moment of the crossing even, convicts nobody.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

import numpy as np

from engine.rules.evaluator import CameraContext, Offence
from engine.rules.path import Path
from engine.rules.path_rule import PathRule
from engine.rules.signal_line import Passing, StopLine
from engine.rules.track_history import TrackHistory
from engine.signals import CLOSED, NOT_GREEN, PROHIBITS
from engine.site.signals import RailCrossingRule, RedLightRule, SignalLineRule
from engine.types import Floats, Phase

BEFORE_S = 0.4
"""The still that shows the vehicle before the line is so much older than the first instant it can have reached it."""
STAND_S = 1.0
STAND_M = 0.5
"""Who moves less than this in that time stands."""


R = TypeVar("R", bound=SignalLineRule)


class SignalLine(PathRule[R]):
    """What the rules about a line before a signal have in common."""

    prohibits: Collection[Phase] = PROHIBITS

    def __init__(self, scene: CameraContext, rule: R) -> None:
        super().__init__(scene, rule)
        self.line = StopLine(scene, rule, self.ground)

    def end(self, trail: TrackHistory) -> Offence | None:
        """The last word on a track, even where another one goes on with the vehicle: that one began beyond the line."""
        return self._once(trail, ended=True)

    def prohibited_since_s(self, passing: Passing, ended_s: float) -> float | None:
        """Since when the signal has prohibited the crossing, if it did for the grace before it and up to `ended_s`."""
        camera, signals = self.scene.camera, self.scene.signals
        for section in self.rule.unless:
            if signals.since_s(camera, (section,), NOT_GREEN, passing.early_s, ended_s) is None:
                return None
        return signals.since_s(camera, self.rule.signal, self.prohibits, passing.early_s - self.rule.grace_s, ended_s)

    def through_s(self, passing: Passing) -> float | None:
        """When the vehicle was first seen in the zone beyond the line; None while it was not."""
        times = passing.way.captured_s
        beyond = self.scene.inside(passing.way.rows, self.rule.zone) & (times > passing.late_s)
        return float(times[np.argmax(beyond)]) if beyond.any() else None

    def offence(
        self, trail: TrackHistory, passing: Passing, instant: str, ended_s: float, account: str
    ) -> Offence | None:
        """The offence, dated to the crossing and proved by another named instant, if the law knows it."""
        before_s = max(float(trail.rows["captured_s"][0]), passing.early_s - BEFORE_S)
        charge = self.law.charge(trail, before_s, ended_s)
        instants = {"before": before_s, "line": passing.late_s, instant: ended_s}
        return charge.offence(passing.late_s, instants, account) if charge else None


class RedLight(SignalLine[RedLightRule | RailCrossingRule]):
    """A rule of a site against running a red light."""

    def judge(self, trail: TrackHistory, way: Path, ended: bool) -> Offence | None:
        passing = self.line.passing(trail, way)
        through_s = self.through_s(passing) if passing else None
        if passing is None or through_s is None:
            return None
        since_s = self.prohibited_since_s(passing, through_s if _halted(passing, through_s) else passing.late_s)
        if since_s is None:
            return None
        account = (
            f"Signal {'/'.join(self.rule.signal)} had prohibited the crossing for at least "
            f"{passing.late_s - since_s:.1f} s when the front was over line {self.rule.line}; "
            f"went on into zone {self.rule.zone} {through_s - passing.late_s:.1f} s later."
        )
        return self.offence(trail, passing, "through", through_s, account)


class RailCrossing(RedLight):
    """The same before a level crossing, whose barrier counts as well."""

    prohibits = CLOSED


def _halted(passing: Passing, through_s: float) -> bool:
    """Did it stand between the line and the zone?"""
    times = passing.way.captured_s
    between = (times >= passing.late_s) & (times <= through_s)
    return standing_from(times[between], passing.way.position_m[between], STAND_S) is not None


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
