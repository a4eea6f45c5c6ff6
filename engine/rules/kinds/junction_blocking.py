"""`junction_blocking`: stands inside the junction while the cross traffic has green.

The stand is followed as for `illegal_stop` (`kernels.zones.dwell`). It counts only where the signal of the cross
traffic was surely green for the whole of the dwell: nobody is accused while all have red, or the phase is unknown.
"""

from __future__ import annotations

import numpy as np

from engine.rules.evaluator import CameraContext, Offence, RuleContext, image_to_ground
from engine.rules.kinds.standing import WITHIN, still_m
from engine.rules.track_history import Rows, TrackHistory, foot_px
from engine.signals import PERMITS
from engine.site.signals import JunctionBlockingRule
from kernels.zones import STOP, dwell

LOOK_BACK_S = 10.0
"""How late the phase of an instant may become known."""


class JunctionBlocking:
    """A rule of a site against standing in a junction."""

    def __init__(self, scene: CameraContext, rule: JunctionBlockingRule) -> None:
        self.rule = rule
        self.law = RuleContext.of(scene, rule)
        self.image_to_ground = image_to_ground(scene, rule)

    def watch(self) -> BlockingWatch:
        return BlockingWatch(self)

    def green_since_s(self, began_s: float, ended_s: float) -> float | None:
        """Since when the cross traffic has had green, if it had from one instant to the other."""
        scene = self.law.scene
        return scene.signals.since_s(scene.camera, (self.rule.cross_signal,), PERMITS, began_s, ended_s)

    def offence(self, trail: TrackHistory, since_s: float, blocked_s: float, ended_s: float) -> Offence | None:
        charge = self.law.charge(trail, since_s, ended_s)
        account = (
            f"Stood in zone {self.rule.zone} for {ended_s - blocked_s:.1f} s while signal {self.rule.cross_signal} "
            "of the cross traffic was green."
        )
        instants = {"halt": since_s, "green": blocked_s, "blocked": ended_s}
        return charge.offence(ended_s, instants, account) if charge else None


class BlockingWatch:
    """Where one vehicle stands, and since when; and where it stood a moment ago, when the phases are told late."""

    def __init__(self, judge: JunctionBlocking) -> None:
        self._judge = judge
        self._stand = np.zeros(2, STOP)
        self._epoch = 0
        self._stood: dict[float, float] = {}
        """From when to when it stood in the zone."""

    def look(self, trail: TrackHistory, fresh: Rows) -> Offence | None:
        if trail.epoch != self._epoch:
            self._epoch, self._stand, self._stood = trail.epoch, np.zeros(2, STOP), {}
        if len(fresh):
            self._follow(fresh)
        return self._told(trail)

    def end(self, trail: TrackHistory) -> Offence | None:
        """The signal may have become known only after the last look."""
        return self._told(trail)

    def _follow(self, fresh: Rows) -> None:
        """Take in the new sightings one by one: a stand that ends among them is a stand all the same."""
        judge, here = self._judge, self._stand[0]
        counts = judge.law.scene.inside(fresh, judge.rule.zone)
        times, position_m = fresh["captured_s"].copy(), np.ascontiguousarray(fresh["position_m"])
        allowed_m = still_m(judge.image_to_ground, foot_px(fresh[-1:])[0], judge.rule.still_m)
        for row in range(len(fresh)):
            one = slice(row, row + 1)
            dwell(times[one], position_m[one], counts[one], allowed_m, self._stand)
            if here["inside"] and here["inside"] >= WITHIN * here["rows"]:
                self._stood[float(here["since_s"])] = float(here["seen_s"])
        self._stood = {since_s: at_s for since_s, at_s in self._stood.items() if at_s >= times[-1] - LOOK_BACK_S}

    def _told(self, trail: TrackHistory) -> Offence | None:
        judge = self._judge
        if judge.law.name in trail.told:
            return None
        for since_s, seen_s in self._stood.items():
            first_s = max(since_s + judge.rule.dwell_s, seen_s - LOOK_BACK_S)
            for ended_s in trail.between(first_s, seen_s)["captured_s"].tolist():
                blocked_s = ended_s - judge.rule.dwell_s
                if judge.green_since_s(blocked_s, ended_s) is not None:
                    return judge.offence(trail, since_s, blocked_s, ended_s)
        return None
