"""`fail_to_yield_pedestrian`: drives onto a crossing while somebody on it is in the way, and does not slow.

People are places without names (`crowd`): nobody is followed, no case is about them. Somebody is in the way when he is
on the crossing as the vehicle comes onto it, no farther to either side than `path_m`, was on it for `seen_s` before,
and does not walk away from the vehicle's path. The vehicle has given way when it comes slower than `at_least_kmh`, or
takes `slows_by` off the speed of its approach. Without an approach that was seen, nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.rules.evaluator import CameraContext, Offence
from engine.rules.passage import came_in_s
from engine.rules.path import Path, moved_by_its_height, stays
from engine.rules.path_rule import PathRule
from engine.rules.pedestrians import People
from engine.rules.track_history import TrackHistory
from engine.rules.zones import polygons
from engine.site.rules import YieldRule
from engine.types import KMH, Flags, Floats
from kernels.zones import inside

MEET_S = 0.25
"""Who was seen on the crossing within this time of the vehicle's coming was on it then."""
PACE_S = 0.6
"""The speed on coming to the crossing is that of the last stretch of this time."""
APPROACH_S = (2.5, 1.2)
"""The speed of the approach is that between so long before the crossing."""
WALK_MPS = 2.5
"""Nobody walks faster."""
AWAY_M = 0.4
"""Who is this much farther from the vehicle's path than `BEFORE_S` ago walks away from it,"""
BEFORE_S = 0.8
ASIDE_M = 1.0
"""if he is not in it, which is this far to either side."""
FEWEST = 2
"""Frames in which somebody must be seen in the way."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """A vehicle comes onto a crossing."""

    at_s: float
    place_m: Floats
    """(2,)"""
    heading: Floats
    """(2,) unit vector of its way."""
    speed_mps: float
    approach_mps: float

    def aside_m(self, people: People) -> Floats:
        """(P,) how far to the side of the vehicle's path people are: positive on one side, negative on the other."""
        away = people["position_m"] - self.place_m
        return np.asarray(self.heading[0] * away[:, 1] - self.heading[1] * away[:, 0])


class Yielding(PathRule[YieldRule]):
    """A crossing of a site."""

    def __init__(self, scene: CameraContext, rule: YieldRule) -> None:
        super().__init__(scene, rule)
        self._crossing = polygons([[scene.site.zones[scene.columns[rule.zone]].polygon_px]])

    def judge(self, trail: TrackHistory, way: Path, ended: bool) -> Offence | None:
        """Every time that the vehicle comes onto the crossing."""
        for first, _ in stays(self.scene.inside(way.rows, self.rule.zone)):
            meeting = self._meeting(way, first) if self._is_old_enough(way, first, ended) else None
            if meeting is not None and not self._gave_way(meeting) and self._was_in_the_way(meeting):
                return self._offence(trail, meeting)
        return None

    def _is_old_enough(self, way: Path, first: int, ended: bool) -> bool:
        """Has everything been seen that belongs to it?"""
        return first > 0 and (ended or way.captured_s[-1] - way.captured_s[first] >= MEET_S)

    def _meeting(self, way: Path, row: int) -> Meeting | None:
        """The vehicle as it comes onto the crossing; None where its approach was not seen."""
        at_s = came_in_s(self.scene, way, self.rule.zone, row)
        since_s = way.captured_s - at_s
        if since_s[0] > -sum(APPROACH_S) / 2 or not moved_by_its_height(way.rows[since_s >= -APPROACH_S[0]]):
            return None
        before = _velocity_mps(way, since_s, -APPROACH_S[0], -APPROACH_S[1])
        now = _velocity_mps(way, since_s, -PACE_S, PACE_S / 4)
        if before is None or now is None or not (speed_mps := float(np.hypot(*now))):
            return None
        return Meeting(at_s, way.position_m[row], now / speed_mps, speed_mps, float(np.hypot(*before)))

    def _gave_way(self, meeting: Meeting) -> bool:
        slow = meeting.speed_mps * KMH < self.rule.at_least_kmh
        return slow or meeting.speed_mps <= (1 - self.rule.slows_by) * meeting.approach_mps

    def _was_in_the_way(self, meeting: Meeting) -> bool:
        """Was somebody seen near the path as the vehicle came, before that too, and not walking off?"""
        there = self._on_crossing(self.scene.crowd.between(meeting.at_s - MEET_S, meeting.at_s + MEET_S))
        near = there[np.abs(meeting.aside_m(there)) <= self.rule.path_m]
        if len(np.unique(near["captured_s"])) < FEWEST:
            return False
        ones = (near[row : row + 1] for row in range(len(near)))
        return any(self._was_there_before(meeting, one) and not self._walks_away(meeting, one) for one in ones)

    def _was_there_before(self, meeting: Meeting, person: People) -> bool:
        """Was somebody who can be the same on the crossing `seen_s` before?"""
        early_s = meeting.at_s - self.rule.seen_s
        before = self._reachable(person, early_s - 2 * MEET_S, early_s)
        return len(self._on_crossing(before)) > 0

    def _walks_away(self, meeting: Meeting, person: People) -> bool:
        """Is he out of the path, and was somebody that he may be nearer to it a moment ago, or is that not known?"""
        aside_m = float(meeting.aside_m(person)[0])
        if abs(aside_m) <= ASIDE_M:
            return False
        at_s = float(person["captured_s"][0]) - BEFORE_S
        before = self._reachable(person, at_s - MEET_S, at_s + MEET_S)
        return not len(before) or bool((np.sign(aside_m) * meeting.aside_m(before) <= abs(aside_m) - AWAY_M).any())

    def _reachable(self, person: People, began_s: float, ended_s: float) -> People:
        """Who was seen in a stretch of time near enough to be the same person now."""
        people = self.scene.crowd.between(began_s, ended_s)
        away_m = np.hypot(*(people["position_m"] - person["position_m"]).T)
        return np.asarray(people[away_m <= WALK_MPS * np.abs(people["captured_s"] - person["captured_s"]) + 0.5])

    def _on_crossing(self, people: People) -> People:
        out: Flags = np.empty((len(people), 1), np.bool_)
        inside(np.ascontiguousarray(people["foot_px"]), np.zeros(len(people), np.int32), self._crossing, out)
        return np.asarray(people[out[:, 0] & np.isfinite(people["position_m"]).all(axis=1)])

    def _offence(self, trail: TrackHistory, meeting: Meeting) -> Offence | None:
        charge = self.law.charge(trail, max(meeting.at_s - APPROACH_S[0], trail.first_s), meeting.at_s)
        instants = {"approach": meeting.at_s - APPROACH_S[1], "crossing": meeting.at_s}
        account = (
            f"Came onto the crossing at {meeting.speed_mps * KMH:.0f} km/h, {meeting.approach_mps * KMH:.0f} km/h on "
            f"the approach, while somebody was on it within {self.rule.path_m:g} m of the vehicle's path."
        )
        return None if charge is None else charge.offence(meeting.at_s, instants, account)


def _velocity_mps(way: Path, since_s: Floats, began_s: float, ended_s: float) -> Floats | None:
    """(2,) mean velocity of a stretch of time (least squares); None where less than half of it was seen."""
    rows = (since_s >= began_s) & (since_s <= ended_s)
    times, places = since_s[rows], way.position_m[rows]
    if np.count_nonzero(rows) < FEWEST + 1 or times[-1] - times[0] < (ended_s - began_s) / 2:
        return None
    away = times - times.mean()
    return np.asarray(away @ places / (away @ away))
