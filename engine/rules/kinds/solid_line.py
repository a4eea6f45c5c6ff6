"""`sign_or_marking`, solid line (1.1): crosses it from one side to the other.

The middle of the vehicle must have been clear of the line on one side, and be clear of it on the other, for some
sightings each, in steps that a vehicle can make. Who had a standing vehicle to pass is not told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.rules.evaluator import CameraContext, Offence
from engine.rules.obstacle import stood_near
from engine.rules.path import Path, moved_by_its_height
from engine.rules.path_rule import PathRule
from engine.rules.track_history import TrackHistory
from engine.rules.zones import line_of
from engine.site import Line
from engine.site.rules import MarkingRule
from engine.types import Floats

FEWEST = 5
"""The box must move by its height over so many sightings on either side and between."""
SIDE = 3
"""Sightings that make a side."""
LONGEST_S = 6.0
"""A vehicle that takes longer from one side to the other drives on the line; that is not told."""
SIDEWAYS_MPS = 4.0
SIDEWAYS_M = 0.8
"""A step to the side of more than this and that speed is the track's jump to another vehicle."""


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

    def __init__(self, scene: CameraContext, rule: MarkingRule) -> None:
        super().__init__(scene, rule)
        self._ends_m, self._right = self._on_ground(line_of(scene, rule.line))

    def _on_ground(self, line: Line) -> tuple[Floats, float]:
        """(2, 2) the line's ends in metres; 1 or -1: the sign of what is right of it in the picture."""
        start, end = np.array(line.from_px), np.array(line.to_px)
        beside = (start + end) / 2 + (end - start)[::-1] * (-1, 1) / np.hypot(*(end - start))
        tail, head, right = self.ground.points_m((line.from_px, line.to_px, tuple(beside)), f"line {line.name}")
        (x, y), (u, v) = head - tail, right - tail
        return np.stack([tail, head]), float(np.sign(x * v - y * u))

    def judge(self, trail: TrackHistory, way: Path, ended: bool) -> Offence | None:
        """Every change from one side of the line to the other."""
        offset_m, share = self._beside(way)
        for crossing in sides(offset_m, self.rule.clear_m):
            if self._crosses(way, offset_m, share, crossing) and not self._obstacle(trail, way, crossing):
                return self._crossed(trail, way, offset_m, crossing)
        return None

    def _beside(self, way: Path) -> tuple[Floats, Floats]:
        """(P,) metres right of the line, looking along it in the picture; nan outside of the zone. (P,) share of its
        length.
        """
        start, end = self._ends_m
        along = (end - start) / (length := np.hypot(*(end - start)))
        away = way.position_m - start
        across = self._right * (along[0] * away[:, 1] - along[1] * away[:, 0])
        watched = self.scene.inside(way.rows, self.rule.zone)
        return np.where(watched, across, np.nan), np.asarray(away @ along / length)

    def _crosses(self, way: Path, offset_m: Floats, share: Floats, crossing: LineCrossing) -> bool:
        """Between the line's ends, forbidden that way, by steps that a vehicle makes, in motion?"""
        step = slice(crossing.before, crossing.after + 1)
        steps_m, lasted_s = np.abs(np.diff(offset_m[step])), np.diff(way.captured_s[step])
        return (
            0.0 <= _at_zero(offset_m[step], share[step]) <= 1.0
            and self.rule.passing in ("both", "forward" if crossing.forward else "back")
            and lasted_s.sum() <= LONGEST_S
            and bool((steps_m <= SIDEWAYS_M + SIDEWAYS_MPS * lasted_s).all())
            and moved_by_its_height(way.rows[max(0, crossing.before - FEWEST) : crossing.after + FEWEST])
        )

    def _obstacle(self, trail: TrackHistory, way: Path, crossing: LineCrossing) -> bool:
        """Did a vehicle stand where the line was crossed?"""
        at_s, place_m = float(way.captured_s[crossing.before]), way.position_m[crossing.before]
        return stood_near(self.scene, trail, at_s, place_m, self.rule.obstacle_m)

    def _crossed(self, trail: TrackHistory, way: Path, offset_m: Floats, crossing: LineCrossing) -> Offence | None:
        step = slice(crossing.before, crossing.after + 1)
        before_s, after_s = (float(way.captured_s[row]) for row in (crossing.before, crossing.after))
        charge = self.law.charge(trail, before_s, after_s)
        if charge is None:
            return None
        at_s = _at_zero(offset_m[step], way.captured_s[step])
        account = (
            f"Crossed the solid line {self.rule.line}: {abs(offset_m[crossing.before]):.1f} m beside it, then "
            f"{abs(offset_m[crossing.after]):.1f} m on the other side; "
            f"no vehicle stood within {self.rule.obstacle_m:g} m."
        )
        return charge.offence(at_s, {"before": before_s, "line": at_s, "after": after_s}, account)


def sides(offset_m: Floats, clear_m: float) -> Iterator[LineCrossing]:
    """Every change from one side to the other, each held for `SIDE` sightings; a nan begins anew."""
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
    """The value where the offset first changes its sign, between two rows."""
    row = int(np.argmax(np.sign(offset_m[1:]) != np.sign(offset_m[0])))
    share = offset_m[row] / (offset_m[row] - offset_m[row + 1])
    return float(values[row] + share * (values[row + 1] - values[row]))
