"""`sign_or_marking`: crosses a solid line, passes a no-entry sign, or leaves a lane for where it does not lead.

Solid line (1.1): the middle of the vehicle was clear of the line on one side, then on the other, for some sightings
each, in steps that a vehicle can make. It is no offence if a standing vehicle was in the way. No entry: comes into the
zone from outside, past the sign if its place is drawn, and drives on. Wrong lane: comes to the end of a lane in that
lane, and leaves by an exit that the lane does not lead to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.config import Positive
from engine.rules.driving import Stay, breaches, instants
from engine.rules.evaluator import CameraContext, Offence, RuleKind
from engine.rules.neighbours import stood_near
from engine.rules.path import Path, PathRule, moved_by_its_height
from engine.rules.track_history import TrackHistory
from engine.rules.zones import arrival, crossings
from engine.site import Line, Rule
from engine.types import Floats, Reason

CROSSING = 5
"""The box must move by its height over this many sightings on either side and between."""
SIDE = 3
"""Sightings that make a side."""
LONGEST_S = 6.0
"""A vehicle that takes longer from one side to the other drives on the line, which is no crossing."""
SIDEWAYS_MPS = 4.0
SIDEWAYS_M = 0.8
"""A longer step to the side is a jump to another vehicle."""
NEAR_S = 1.5
"""no_entry: longest time between passing the sign and coming into the zone."""
FEWEST = 3
HELD_S = 1.5
"""wrong_lane: the lane must have been held for this time before its end,"""
HELD = 0.8
"""in this share of at least `FEWEST` sightings."""


class MarkingRule(Rule, frozen=True, kw_only=True, tag="sign_or_marking"):
    """Crosses a solid line; or enters where there is no entry; or leaves a lane for where it does not lead."""

    sign: Literal["solid_line", "no_entry", "wrong_lane"]
    line: str = ""
    """solid_line: the line. no_entry: the place of the sign, passed forward on entering; empty: any border of the zone.
    wrong_lane: the end of the lane, passed forward."""
    passing: Literal["both", "forward", "back"] = "both"
    """Direction in which a solid line must not be crossed: a broken line beside it allows the other direction."""
    exits: tuple[str, ...] = ()
    """wrong_lane: zones that must not be reached from the lane."""
    within_s: Positive = 30.0
    """wrong_lane: longest time from the end of the lane to the exit."""
    clear_m: Positive = 0.6
    """solid_line: the middle of the vehicle must have been this far from the line on either side."""
    obstacle_m: Positive = 30.0
    """solid_line: no offence if a vehicle stood within this distance: it may have been passed."""
    at_least_m: Positive = 8.0
    """no_entry: an offence only over at least this distance driven in the zone,"""
    at_least_s: Positive = 0.5
    """and for at least this time."""

    def __post_init__(self) -> None:
        if self.sign in ("solid_line", "wrong_lane") and not self.line:
            raise ValueError(f"rule {self.name}: {self.sign} needs a line")
        if (self.sign == "wrong_lane") != bool(self.exits):
            raise ValueError(f"rule {self.name}: exits belong to wrong_lane, and wrong_lane needs some")

    @property
    def zones(self) -> tuple[str, ...]:
        """See `Rule.zones`."""
        return (self.zone, *self.exits)

    @property
    def lines(self) -> tuple[str, ...]:
        """See `Rule.lines`."""
        return (self.line,) if self.line else ()


@dataclass(frozen=True, slots=True)
class LineCrossing:
    """From one side of a line to the other."""

    before: int
    """Last row that is clear of the line on the first side."""
    after: int
    """First row that is clear of it on the second side."""
    forward: bool


class SolidLine(PathRule[MarkingRule]):
    """A solid line of a site."""

    def __init__(self, context: CameraContext, rule: MarkingRule) -> None:
        super().__init__(context, rule)
        self._ends_m, self._right = self._on_ground(context.line(rule.line))

    def _on_ground(self, line: Line) -> tuple[Floats, float]:
        """(2, 2) f8 the line's ends in metres; 1 or -1: the sign of points right of it in the picture."""
        start, end = np.array(line.from_px), np.array(line.to_px)
        beside = (start + end) / 2 + (end - start)[::-1] * (-1, 1) / np.hypot(*(end - start))
        tail, head, right = self.ground.points_m((line.from_px, line.to_px, tuple(beside)), f"line {line.name}")
        (x, y), (u, v) = head - tail, right - tail
        return np.stack([tail, head]), float(np.sign(x * v - y * u))

    def evaluate(self, history: TrackHistory, path: Path, ended: bool) -> Offence | None:
        """Every change from one side of the line to the other."""
        offset_m, share = self._beside(path)
        for crossing in sides(offset_m, self.rule.clear_m):
            if self._crosses(path, offset_m, share, crossing) and not self._has_obstacle(history, path, crossing):
                return self._offence(history, path, offset_m, crossing)
        return None

    def _beside(self, path: Path) -> tuple[Floats, Floats]:
        """(P,) metres right of the line, looking along it in the picture; nan outside the zone. (P,) share of its
        length."""
        start, end = self._ends_m
        along = (end - start) / (length := np.hypot(*(end - start)))
        away = path.position_m - start
        across = self._right * (along[0] * away[:, 1] - along[1] * away[:, 0])
        watched = self.context.inside(path.rows, self.rule.zone)
        return np.where(watched, across, np.nan), np.asarray(away @ along / length)

    def _crosses(self, path: Path, offset_m: Floats, share: Floats, crossing: LineCrossing) -> bool:
        """True if it was between the line's ends, in a forbidden direction, in steps that a vehicle makes, in
        motion."""
        step = slice(crossing.before, crossing.after + 1)
        steps_m, lasted_s = np.abs(np.diff(offset_m[step])), np.diff(path.captured_s[step])
        return (
            0.0 <= _at_zero(offset_m[step], share[step]) <= 1.0
            and self.rule.passing in ("both", "forward" if crossing.forward else "back")
            and lasted_s.sum() <= LONGEST_S
            and bool((steps_m <= SIDEWAYS_M + SIDEWAYS_MPS * lasted_s).all())
            and moved_by_its_height(path.rows[max(0, crossing.before - CROSSING) : crossing.after + CROSSING])
        )

    def _has_obstacle(self, history: TrackHistory, path: Path, crossing: LineCrossing) -> bool:
        """True if a vehicle stood where the line was crossed."""
        at_s, place_m = float(path.captured_s[crossing.before]), path.position_m[crossing.before]
        return stood_near(self.context, history, at_s, place_m, self.rule.obstacle_m)

    def _offence(self, history: TrackHistory, path: Path, offset_m: Floats, crossing: LineCrossing) -> Offence | None:
        step = slice(crossing.before, crossing.after + 1)
        before_s, after_s = (float(path.captured_s[row]) for row in (crossing.before, crossing.after))
        breach = self.breach(history, before_s, after_s)
        if breach is None:
            return None
        at_s = _at_zero(offset_m[step], path.captured_s[step])
        reason = Reason(
            "crossed_solid_line",
            {
                "line": self.rule.line,
                "before_m": abs(offset_m[crossing.before]),
                "after_m": abs(offset_m[crossing.after]),
                "obstacle_m": self.rule.obstacle_m,
            },
        )
        return breach.offence(at_s, {"before": before_s, "line": at_s, "after": after_s}, reason)


def sides(offset_m: Floats, clear_m: float) -> Iterator[LineCrossing]:
    """Every change from one side to the other, each held for `SIDE` sightings; a nan starts again."""
    side = np.where(offset_m >= clear_m, 1, np.where(offset_m <= -clear_m, -1, 0))
    known, rows = 0, 0
    last = -1
    for row, now in enumerate(side):
        if np.isnan(offset_m[row]):
            known, rows = 0, 0
        elif now == known:
            rows, last = rows + 1, row
        elif now and row + SIDE <= len(side) and (side[row : row + SIDE] == now).all():
            if known and rows >= SIDE:
                yield LineCrossing(last, row, forward=bool(now > 0))
            known, rows, last = int(now), 1, row


def _at_zero(offset_m: Floats, values: Floats) -> float:
    """The value at which the offset first changes its sign, between two rows."""
    row = int(np.argmax(np.sign(offset_m[1:]) != np.sign(offset_m[0])))
    share = offset_m[row] / (offset_m[row] - offset_m[row + 1])
    return float(values[row] + share * (values[row + 1] - values[row]))


class NoEntry(PathRule[MarkingRule]):
    """A no-entry sign of a site."""

    def evaluate(self, history: TrackHistory, path: Path, ended: bool) -> Offence | None:
        """The first stay that the vehicle was seen to begin."""
        for stay, breach in breaches(self, history, path):
            if stay.came and self._past_the_sign(history, stay):
                reason = Reason("passed_no_entry", {"zone": self.rule.zone, "length_m": stay.driven_m[-1]})
                return breach.offence(breach.began_s, instants(breach), reason)
        return None

    def _past_the_sign(self, history: TrackHistory, stay: Stay) -> bool:
        """True if it came in past the sign, or if the sign's place is not drawn."""
        if not self.rule.line:
            return True
        rows = history.between(stay.entered_s - NEAR_S, stay.entered_s + NEAR_S)
        return bool(crossings(rows, self.context.line(self.rule.line))[:, 1].sum() > 0)


class WrongLane(PathRule[MarkingRule]):
    """A lane before a junction, and where it does not lead."""

    def evaluate(self, history: TrackHistory, path: Path, ended: bool) -> Offence | None:
        """Every crossing of the lane's end."""
        for at_s, direction in crossings(path.rows, self.context.line(self.rule.line)):
            if direction > 0 and self._held_the_lane(path, at_s):
                return self._offence(history, path, float(at_s))
        return None

    def _held_the_lane(self, path: Path, at_s: float) -> bool:
        before = path.rows[(path.captured_s >= at_s - HELD_S) & (path.captured_s < at_s)]
        return len(before) >= FEWEST and bool(self.context.inside(before, self.rule.zone).mean() >= HELD)

    def _offence(self, history: TrackHistory, path: Path, at_s: float) -> Offence | None:
        after = path.part(int(np.searchsorted(path.captured_s, at_s)), len(path))
        found = arrival(self.context, after, self.rule.exits)
        if found is None or found.at_s - at_s > self.rule.within_s:
            return None
        breach = self.breach(history, at_s, found.proved_s)
        reason = Reason("left_by_wrong_lane", {"lane_zone": self.rule.zone, "exit_zone": found.zone})
        return None if breach is None else breach.offence(found.at_s, {"lane_end": at_s, "exit": found.at_s}, reason)


EVALUATORS: dict[str, type[SolidLine | NoEntry | WrongLane]] = {
    "solid_line": SolidLine,
    "no_entry": NoEntry,
    "wrong_lane": WrongLane,
}
KIND = RuleKind(MarkingRule, lambda context, rule: EVALUATORS[rule.sign](context, rule))
