"""`fail_to_yield_pedestrian`: drives onto a crossing while a pedestrian on it is in the way, and does not slow down.

Pedestrians are positions without identity (`engine.rules.pedestrians`): the rule follows no person, and no case is
about one. A pedestrian is in the way if it is on the crossing as the vehicle comes onto it, at most `path_m` to either
side, was on it `seen_s` before, and does not walk away from the vehicle's path. The vehicle has given way if it comes
slower than `at_least_kmh`, or has reduced the speed of its approach by `slows_by`. If the approach was not seen, there
is no offence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta

from engine.config import Positive
from engine.rules.evaluator import CameraContext, Offence, RuleKind
from engine.rules.path import Path, PathRule, moved_by_its_height, stays
from engine.rules.pedestrians import People
from engine.rules.track_history import TrackHistory
from engine.rules.zones import came_in_s, contains, polygons
from engine.site import Rule
from engine.types import KMH, Floats, Reason

MEET_S = 0.25
"""A pedestrian that was seen on the crossing within this time of the vehicle's coming was on it then."""
PACE_S = 0.6
"""The speed at the crossing is taken over this time."""
APPROACH_S = (2.5, 1.2)
"""The speed of the approach is taken between these times before the crossing."""
WALK_MPS = 2.5
"""Fastest walking speed."""
AWAY_M = 0.4
"""A pedestrian that is this much farther from the vehicle's path than `BEFORE_S` ago walks away from it,"""
BEFORE_S = 0.8
ASIDE_M = 1.0
"""unless within this distance to either side of it."""
FEWEST = 2
"""Frames in which a pedestrian must be seen in the way."""


class YieldRule(Rule, frozen=True, kw_only=True, tag="fail_to_yield_pedestrian"):
    """Drives onto a crossing, the zone, while a pedestrian on it is in the way, and does not slow down."""

    path_m: Positive = 3.5
    """A pedestrian is in the way at most this far to either side of the vehicle's middle, if not walking away."""
    seen_s: Positive = 0.4
    """A pedestrian must have been on the crossing for this time before the vehicle."""
    at_least_kmh: Positive = 15.0
    """A slower vehicle has given way, or waits to see whether it must."""
    slows_by: Annotated[float, Meta(gt=0, lt=1)] = 0.25
    """So has a vehicle that reduced the speed of its approach by this share."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """A vehicle comes onto a crossing."""

    at_s: float
    place_m: Floats
    """(2,)"""
    heading: Floats
    """(2,) unit vector of its motion."""
    speed_mps: float
    approach_mps: float

    def aside_m(self, people: People) -> Floats:
        """(P,) distance of people from the vehicle's path: positive on one side, negative on the other."""
        away = people["position_m"] - self.place_m
        return np.asarray(self.heading[0] * away[:, 1] - self.heading[1] * away[:, 0])


class Yielding(PathRule[YieldRule]):
    """A crossing of a site."""

    def __init__(self, context: CameraContext, rule: YieldRule) -> None:
        super().__init__(context, rule)
        self._crossing = polygons([[context.site.zones[context.columns[rule.zone]].polygon_px]])

    def evaluate(self, history: TrackHistory, path: Path, ended: bool) -> Offence | None:
        """Every time that the vehicle comes onto the crossing."""
        for first, _ in stays(self.context.inside(path.rows, self.rule.zone)):
            meeting = self._meeting(path, first) if self._is_old_enough(path, first, ended) else None
            if meeting is not None and not self._gave_way(meeting) and self._was_in_the_way(meeting):
                return self._offence(history, meeting)
        return None

    def _is_old_enough(self, path: Path, first: int, ended: bool) -> bool:
        """True if all sightings that count have been seen."""
        return first > 0 and (ended or path.captured_s[-1] - path.captured_s[first] >= MEET_S)

    def _meeting(self, path: Path, row: int) -> Meeting | None:
        """The vehicle as it comes onto the crossing; None if its approach was not seen."""
        at_s = came_in_s(self.context, path, self.rule.zone, row)
        since_s = path.captured_s - at_s
        if since_s[0] > -sum(APPROACH_S) / 2 or not moved_by_its_height(path.rows[since_s >= -APPROACH_S[0]]):
            return None
        before = path.velocity_mps(at_s, -APPROACH_S[0], -APPROACH_S[1])
        now = path.velocity_mps(at_s, -PACE_S, PACE_S / 4)
        if before is None or now is None or not (speed_mps := float(np.hypot(*now))):
            return None
        return Meeting(at_s, path.position_m[row], now / speed_mps, speed_mps, float(np.hypot(*before)))

    def _gave_way(self, meeting: Meeting) -> bool:
        slow = meeting.speed_mps * KMH < self.rule.at_least_kmh
        return slow or meeting.speed_mps <= (1 - self.rule.slows_by) * meeting.approach_mps

    def _was_in_the_way(self, meeting: Meeting) -> bool:
        """True if a pedestrian was near the path as the vehicle came, and before that, and was not walking away."""
        there = self._on_crossing(self.context.pedestrians.between(meeting.at_s - MEET_S, meeting.at_s + MEET_S))
        near = there[np.abs(meeting.aside_m(there)) <= self.rule.path_m]
        if len(np.unique(near["captured_s"])) < FEWEST:
            return False
        ones = (near[row : row + 1] for row in range(len(near)))
        return any(self._was_there_before(meeting, one) and not self._walks_away(meeting, one) for one in ones)

    def _was_there_before(self, meeting: Meeting, person: People) -> bool:
        """True if a pedestrian that can be the same person was on the crossing `seen_s` before."""
        early_s = meeting.at_s - self.rule.seen_s
        before = self._reachable(person, early_s - 2 * MEET_S, early_s)
        return len(self._on_crossing(before)) > 0

    def _walks_away(self, meeting: Meeting, person: People) -> bool:
        """True if the person is beside the path and may have been nearer to it a moment ago, or if that is unknown."""
        aside_m = float(meeting.aside_m(person)[0])
        if abs(aside_m) <= ASIDE_M:
            return False
        at_s = float(person["captured_s"][0]) - BEFORE_S
        before = self._reachable(person, at_s - MEET_S, at_s + MEET_S)
        return not len(before) or bool((np.sign(aside_m) * meeting.aside_m(before) <= abs(aside_m) - AWAY_M).any())

    def _reachable(self, person: People, began_s: float, ended_s: float) -> People:
        """The people between two instants, near enough to be the same person now."""
        people = self.context.pedestrians.between(began_s, ended_s)
        away_m = np.hypot(*(people["position_m"] - person["position_m"]).T)
        return np.asarray(people[away_m <= WALK_MPS * np.abs(people["captured_s"] - person["captured_s"]) + 0.5])

    def _on_crossing(self, people: People) -> People:
        within = contains(self._crossing, people["foot_px"])
        return np.asarray(people[within & np.isfinite(people["position_m"]).all(axis=1)])

    def _offence(self, history: TrackHistory, meeting: Meeting) -> Offence | None:
        breach = self.breach(history, max(meeting.at_s - APPROACH_S[0], history.first_s), meeting.at_s)
        instants = {"approach": meeting.at_s - APPROACH_S[1], "crossing": meeting.at_s}
        speed_kmh, approach_kmh = meeting.speed_mps * KMH, meeting.approach_mps * KMH
        reason = Reason(
            "failed_to_yield", {"speed_kmh": speed_kmh, "approach_kmh": approach_kmh, "path_m": self.rule.path_m}
        )
        return None if breach is None else breach.offence(meeting.at_s, instants, reason)


KIND = RuleKind(YieldRule, Yielding)
