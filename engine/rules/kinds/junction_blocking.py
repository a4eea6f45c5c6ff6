"""`junction_blocking`: stands inside the junction while the cross traffic has green.

The stand is found like that of `illegal_stop` (`kernels.zones.dwell`). It counts only if the signal of the cross
traffic was certainly green for the whole dwell; it does not while all signals are red or the phase is unknown.
"""

from __future__ import annotations

import numpy as np

from engine.config import Positive
from engine.rules.evaluator import CameraContext, Offence, RuleEvaluator, RuleKind, TrackState, image_to_ground
from engine.rules.standing import WITHIN, still_m
from engine.rules.track_history import Rows, TrackHistory, foot_px
from engine.signals import PERMITS
from engine.site import Rule
from engine.types import Reason
from kernels.zones import STOP, dwell

LOOK_BACK_S = 10.0
"""How late the phase of an instant may become known."""


class JunctionBlockingRule(Rule, frozen=True, kw_only=True, tag="junction_blocking"):
    """Stands inside the junction while the cross traffic has green."""

    cross_signal: str
    """The signal of the cross traffic."""
    dwell_s: Positive = 5.0
    """An offence after standing for at least this time while that signal is green."""
    still_m: Positive = 1.0
    """A vehicle stands while it stays within this distance plus the road that a pixel at its foot covers. A vehicle in
    a queue that moves up by a step blocks all the same, and a large box far away is less accurate."""

    @property
    def signals(self) -> tuple[str, ...]:
        """See `Rule.signals`."""
        return (self.cross_signal,)


class JunctionBlocking(RuleEvaluator[JunctionBlockingRule]):
    """A rule of a site against standing in a junction. Raises ConfigError if the site has no calibration."""

    def __init__(self, context: CameraContext, rule: JunctionBlockingRule) -> None:
        super().__init__(context, rule)
        self.image_to_ground = image_to_ground(context, rule)

    def new_state(self) -> TrackState:
        return BlockingState(self)

    def had_green(self, began_s: float, ended_s: float) -> bool:
        """True if the cross traffic certainly had green from one instant to the other."""
        signals, camera, signal = self.context.signals, self.context.camera, self.rule.cross_signal
        return signals.since_s(camera, (signal,), PERMITS, began_s, ended_s) is not None

    def offence(self, history: TrackHistory, since_s: float, blocked_s: float, ended_s: float) -> Offence | None:
        breach = self.breach(history, since_s, ended_s)
        reason = Reason(
            "blocked_junction",
            {"zone": self.rule.zone, "lasted_s": ended_s - blocked_s, "signal": self.rule.cross_signal},
        )
        instants = {"halt": since_s, "green": blocked_s, "blocked": ended_s}
        return breach.offence(ended_s, instants, reason) if breach else None


class BlockingState:
    """Where one vehicle stands, since when, and its stands a moment ago: phases may become known late."""

    def __init__(self, evaluator: JunctionBlocking) -> None:
        self._evaluator = evaluator
        self._stand = np.zeros(2, STOP)
        self._epoch = 0
        self._stood: dict[float, float] = {}
        """End of every stand in the zone by its beginning."""

    def update(self, history: TrackHistory, fresh: Rows) -> Offence | None:
        if history.epoch != self._epoch:
            self._epoch, self._stand, self._stood = history.epoch, np.zeros(2, STOP), {}
        if len(fresh):
            self._follow(fresh)
        return self._offence(history)

    def end(self, history: TrackHistory) -> Offence | None:
        """Evaluate once more: the phase may have become known after the last update."""
        return self._offence(history)

    def _follow(self, fresh: Rows) -> None:
        """Add the new sightings one by one, so that a stand that ends among them is found."""
        evaluator, here = self._evaluator, self._stand[0]
        counts = evaluator.context.inside(fresh, evaluator.rule.zone)
        times, position_m = fresh["captured_s"].copy(), np.ascontiguousarray(fresh["position_m"])
        allowed_m = still_m(evaluator.image_to_ground, foot_px(fresh[-1:])[0], evaluator.rule.still_m)
        for row in range(len(fresh)):
            one = slice(row, row + 1)
            dwell(times[one], position_m[one], counts[one], allowed_m, self._stand)
            if here["inside"] and here["inside"] >= WITHIN * here["rows"]:
                self._stood[float(here["since_s"])] = float(here["seen_s"])
        self._stood = {since_s: at_s for since_s, at_s in self._stood.items() if at_s >= times[-1] - LOOK_BACK_S}

    def _offence(self, history: TrackHistory) -> Offence | None:
        evaluator = self._evaluator
        if evaluator.kind_name in history.reported:
            return None
        for since_s, seen_s in self._stood.items():
            first_s = max(since_s + evaluator.rule.dwell_s, seen_s - LOOK_BACK_S)
            for ended_s in history.between(first_s, seen_s)["captured_s"].tolist():
                blocked_s = ended_s - evaluator.rule.dwell_s
                if evaluator.had_green(blocked_s, ended_s):
                    return evaluator.offence(history, since_s, blocked_s, ended_s)
        return None


KIND = RuleKind(JunctionBlockingRule, JunctionBlocking)
