"""`prohibited_turn`: turns from one zone into another, turns about, or reverses, where that is forbidden.

For turning about and reversing the path is taken as a polyline whose points lie apart. A U-turn is a change of heading
in steps that wheels can make, followed by driving in the new direction. Reversing is a change of heading all at once:
which way is forwards is known only from the path seen before, so a vehicle that was not seen to drive forwards is never
found to reverse.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from engine.config import Positive
from engine.rules.evaluator import Offence, RuleKind
from engine.rules.path import Path, PathRule, moved_as_a_whole, moved_by_its_height, stays
from engine.rules.track_history import TrackHistory
from engine.rules.zones import arrival, departed_row
from engine.site import Rule
from engine.types import Floats, Ints, Reason

STRAIGHT_DEG = 40.0
"""Headings that differ by less are one direction."""
WHEELS_DEG = 75.0
"""Wheels do not turn a vehicle by more than this from one point of the path to the next;"""
ABOUT_DEG = 140.0
"""a vehicle whose heading changes by more than this has not turned but reversed."""


class TurnRule(Rule, frozen=True, kw_only=True, tag="prohibited_turn"):
    """Turns from the zone to an exit; or turns about, or reverses, inside the zone."""

    manoeuvre: Literal["turn", "u_turn", "reversing"] = "turn"
    exits: tuple[str, ...] = ()
    """turn: zones that must not be reached from the zone."""
    within_s: Positive = 30.0
    """turn: longest time from leaving the zone to entering the exit."""
    at_least_deg: Annotated[float, Meta(ge=120, le=180)] = 150.0
    """u_turn: smallest change of heading."""
    at_least_m: Positive = 6.0
    """u_turn, reversing: distance driven in the new direction."""
    approach_m: Positive = 5.0
    """u_turn, reversing: distance seen in the old direction; without it the front cannot be known."""

    def __post_init__(self) -> None:
        if (self.manoeuvre == "turn") != bool(self.exits):
            raise ValueError(f"rule {self.name}: exits belong to a turn, and a turn needs some")

    @property
    def zones(self) -> tuple[str, ...]:
        """See `Rule.zones`."""
        return (self.zone, *self.exits)


class Turn(PathRule[TurnRule]):
    """A turn that is forbidden on a site."""

    def evaluate(self, history: TrackHistory, path: Path, ended: bool) -> Offence | None:
        """From the last sighting in the zone to the first stay in an exit."""
        row = departed_row(self.context, path, self.rule.zone)
        found = None if row is None else arrival(self.context, path.part(row + 1, len(path)), self.rule.exits)
        if row is None or found is None:
            return None
        left_s = float(path.captured_s[row])
        if found.at_s - left_s > self.rule.within_s or not moved_by_its_height(history.between(left_s, found.proved_s)):
            return None
        breach = self.breach(history, left_s, found.proved_s)
        reason = Reason("made_prohibited_turn", {"entry_zone": self.rule.zone, "exit_zone": found.zone})
        return None if breach is None else breach.offence(found.at_s, {"entry": left_s, "exit": found.at_s}, reason)


@dataclass(frozen=True, slots=True)
class Legs:
    """A path as straight legs from point to point."""

    rows: Ints
    """(K + 1,) i8: rows of the points."""
    length_m: Floats
    """(K,) f8"""
    turn_deg: Floats
    """(K - 1,) f8: from every leg to the next, -180 to 180, counted from the x axis towards the y axis."""

    def __len__(self) -> int:
        return len(self.length_m)


def legs_of(path: Path, corners: Ints) -> Legs:
    """The legs between the corners of a path."""
    steps = np.diff(path.position_m[corners], axis=0)
    heading = np.degrees(np.arctan2(steps[:, 1], steps[:, 0]))
    return Legs(corners, np.hypot(*steps.T), (np.diff(heading) + 180.0) % 360.0 - 180.0)


class Manoeuvre(PathRule[TurnRule]):
    """What U-turns and reversing share: legs inside the zone, split where the direction changes."""

    def evaluate(self, history: TrackHistory, path: Path, ended: bool) -> Offence | None:
        """Every stay in the zone."""
        for first, last in stays(self.context.inside(path.rows, self.rule.zone)):
            part = path.part(first, last)
            found = self.split(legs_of(part, self.ground.corners(part)))
            if found is not None and (offence := self._offence(history, part, *found)) is not None:
                return offence
        return None

    @abstractmethod
    def split(self, legs: Legs) -> tuple[int, int, int, int] | None:
        """Four rows: the old direction begins and ends, the new one begins and is proved; None if there is no split."""

    def _offence(self, history: TrackHistory, path: Path, *rows: int) -> Offence | None:
        began_s, old_s, new_s, proved_s = (float(path.captured_s[row]) for row in rows)
        old, new = path.part(rows[0], rows[1]), path.part(rows[2], rows[3])
        if not (moved_as_a_whole(old.rows) and moved_as_a_whole(new.rows)):
            return None
        breach = self.breach(history, began_s, proved_s)
        instants = {"approach": began_s, "turning": old_s, "turned": new_s, "proved": proved_s}
        zone = self.rule.zone
        turned, reversed_ = Reason("turned_about", {"zone": zone}), Reason("reversed", {"zone": zone})
        reason = turned if self.rule.manoeuvre == "u_turn" else reversed_
        return None if breach is None else breach.offence(proved_s, instants, reason)


class Reversing(Manoeuvre):
    """A rule against reversing."""

    def split(self, legs: Legs) -> tuple[int, int, int, int] | None:
        """A leg back in the direction of the one before, with long enough legs of one direction on either side."""
        for knee in np.flatnonzero(np.abs(legs.turn_deg) >= ABOUT_DEG).tolist():
            before, after = _straight_back(legs, knee), _straight_on(legs, knee + 1, self.rule.at_least_m)
            if legs.length_m[before : knee + 1].sum() >= self.rule.approach_m and after is not None:
                turned = int(legs.rows[knee + 1])
                return int(legs.rows[before]), turned, turned, int(legs.rows[after + 1])
        return None


class UTurn(Manoeuvre):
    """A rule against turning about."""

    def split(self, legs: Legs) -> tuple[int, int, int, int] | None:
        """Legs that turn step by step until they have turned about; straight legs before and after."""
        turned = np.concatenate([[0.0], np.cumsum(legs.turn_deg)])
        for first in range(len(legs)):
            for last in range(first + 1, len(legs)):
                if abs(legs.turn_deg[last - 1]) > WHEELS_DEG:
                    break
                if abs(turned[last] - turned[first]) >= self.rule.at_least_deg:
                    found = self._proved(legs, first, last)
                    if found is not None:
                        return found
        return None

    def _proved(self, legs: Legs, first: int, last: int) -> tuple[int, int, int, int] | None:
        before, after = _straight_back(legs, first), _straight_on(legs, last, self.rule.at_least_m)
        if legs.length_m[before : first + 1].sum() < self.rule.approach_m or after is None:
            return None
        return int(legs.rows[before]), int(legs.rows[first + 1]), int(legs.rows[last]), int(legs.rows[after + 1])


def _straight_back(legs: Legs, leg: int) -> int:
    """The first of the legs up to this one that run in its direction."""
    while leg > 0 and abs(legs.turn_deg[leg - 1]) < STRAIGHT_DEG:
        leg -= 1
    return leg


def _straight_on(legs: Legs, leg: int, at_least_m: float) -> int | None:
    """The leg by which `at_least_m` was driven in the direction of this one; None if it was not."""
    done_m = float(legs.length_m[leg])
    while done_m < at_least_m:
        if leg + 1 >= len(legs) or abs(legs.turn_deg[leg]) >= STRAIGHT_DEG:
            return None
        leg += 1
        done_m += float(legs.length_m[leg])
    return leg


EVALUATORS: dict[str, type[Turn | UTurn | Reversing]] = {"turn": Turn, "u_turn": UTurn, "reversing": Reversing}
KIND = RuleKind(TurnRule, lambda context, rule: EVALUATORS[rule.manoeuvre](context, rule))
