"""`prohibited_turn`, about and backwards: turns round, or reverses, inside a zone where that is forbidden.

The way is taken as a polyline whose points lie apart. A U-turn is a change of heading in steps that a vehicle's wheels
can make, which ends in a way driven the other way. Reversing is a change of heading all at once: forwards is only known
from the way seen before, so a vehicle that was not seen to drive forwards is never told to reverse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.rules.evaluator import Offence
from engine.rules.path import Path, moved_as_a_whole, stays
from engine.rules.path_rule import PathRule
from engine.rules.track_history import TrackHistory
from engine.site.rules import TurnRule
from engine.types import Floats, Ints

STRAIGHT_DEG = 40.0
"""Headings that differ by less are one direction."""
WHEELS_DEG = 75.0
"""Wheels do not turn a vehicle by more than this from one point of the way to the next,"""
ABOUT_DEG = 140.0
"""and what turns it by more than this has not turned but reversed."""


@dataclass(frozen=True, slots=True)
class Legs:
    """A way as straight legs from point to point."""

    rows: Ints
    """(K + 1,) i8: rows of the points."""
    length_m: Floats
    """(K,) f8"""
    turn_deg: Floats
    """(K - 1,) f8: from every leg to the next, -180 to 180, counted from the x axis towards the y axis."""

    def __len__(self) -> int:
        return len(self.length_m)


def legs(way: Path, corners: Ints) -> Legs:
    """The legs between the corners of a way."""
    steps = np.diff(way.position_m[corners], axis=0)
    heading = np.degrees(np.arctan2(steps[:, 1], steps[:, 0]))
    return Legs(corners, np.hypot(*steps.T), (np.diff(heading) + 180.0) % 360.0 - 180.0)


class Manoeuvre(PathRule[TurnRule]):
    """What both have in common: legs inside the zone, split where the direction changes."""

    def judge(self, trail: TrackHistory, way: Path, ended: bool) -> Offence | None:
        """Every stay in the zone."""
        for first, last in stays(self.scene.inside(way.rows, self.rule.zone)):
            part = way.part(first, last)
            found = self.split(legs(part, self.ground.corners(part)))
            if found is not None and (offence := self._offence(trail, part, *found)) is not None:
                return offence
        return None

    def split(self, way: Legs) -> tuple[int, int, int, int] | None:
        """Four rows: the old direction begins and ends, the new one begins and is proved; None where none is seen."""
        raise NotImplementedError

    def _offence(self, trail: TrackHistory, way: Path, *rows: int) -> Offence | None:
        began_s, old_s, new_s, proved_s = (float(way.captured_s[row]) for row in rows)
        old, new = way.part(rows[0], rows[1]), way.part(rows[2], rows[3])
        if not (moved_as_a_whole(old.rows) and moved_as_a_whole(new.rows)):
            return None
        charge = self.law.charge(trail, began_s, proved_s)
        instants = {"approach": began_s, "turning": old_s, "turned": new_s, "proved": proved_s}
        zone, turned_about = self.rule.zone, self.rule.manoeuvre == "u_turn"
        account = f"Turned about in zone {zone}." if turned_about else f"Drove forwards, then reversed in zone {zone}."
        return None if charge is None else charge.offence(proved_s, instants, account)


class Reversing(Manoeuvre):
    """A rule against reversing."""

    def split(self, way: Legs) -> tuple[int, int, int, int] | None:
        """A leg that goes back the way of the one before, long enough legs of one direction on either side."""
        for knee in np.flatnonzero(np.abs(way.turn_deg) >= ABOUT_DEG).tolist():
            before, after = _straight_back(way, knee), _straight_on(way, knee + 1, self.rule.at_least_m)
            if way.length_m[before : knee + 1].sum() >= self.rule.approach_m and after is not None:
                turned = int(way.rows[knee + 1])
                return int(way.rows[before]), turned, turned, int(way.rows[after + 1])
        return None


class UTurn(Manoeuvre):
    """A rule against turning about."""

    def split(self, way: Legs) -> tuple[int, int, int, int] | None:
        """Legs that turn little by little, until they have turned about; straight legs before and after."""
        turned = np.concatenate([[0.0], np.cumsum(way.turn_deg)])
        for first in range(len(way)):
            for last in range(first + 1, len(way)):
                if abs(way.turn_deg[last - 1]) > WHEELS_DEG:
                    break
                if abs(turned[last] - turned[first]) >= self.rule.at_least_deg:
                    found = self._proved(way, first, last)
                    if found is not None:
                        return found
        return None

    def _proved(self, way: Legs, first: int, last: int) -> tuple[int, int, int, int] | None:
        before, after = _straight_back(way, first), _straight_on(way, last, self.rule.at_least_m)
        if way.length_m[before : first + 1].sum() < self.rule.approach_m or after is None:
            return None
        return int(way.rows[before]), int(way.rows[first + 1]), int(way.rows[last]), int(way.rows[after + 1])


def _straight_back(way: Legs, leg: int) -> int:
    """The first of the legs before, and including, this one that run in its direction."""
    while leg > 0 and abs(way.turn_deg[leg - 1]) < STRAIGHT_DEG:
        leg -= 1
    return leg


def _straight_on(way: Legs, leg: int, at_least_m: float) -> int | None:
    """The leg by which so much way was driven in the direction of this one; None where it was not."""
    done_m = float(way.length_m[leg])
    while done_m < at_least_m:
        if leg + 1 >= len(way) or abs(way.turn_deg[leg]) >= STRAIGHT_DEG:
            return None
        leg += 1
        done_m += float(way.length_m[leg])
    return leg
