"""`overtaking_or_position`, overtaking: passes a moving vehicle by way of the oncoming side, and comes back.

The passer was on its own side behind the other, was on the oncoming side (the zone) when it drew level, and is on its
own side before it. The other moved the same way all the time, on its own side: who passes what stands has passed an
obstacle. A vehicle that does not come back in the picture has not been seen to overtake (see `oncoming_lane`).
"""

from __future__ import annotations

import numpy as np

from engine.rules.evaluator import CameraContext, Offence
from engine.rules.path import Path, moved_by_its_height, smoothed, stays
from engine.rules.path_rule import PathRule
from engine.rules.track_history import Rows, TrackHistory
from engine.site.rules import OvertakingRule
from engine.types import KMH, Floats

FEWEST = 3
"""Sightings on one side of the road that make a stay there."""
CHANGE_S = 3.0
"""From one side to the other within this time."""
ON_ITS_SIDE = 0.8
"""Share of the sightings of the other that must be on its own side."""


class Overtaking(PathRule[OvertakingRule]):
    """A rule against overtaking."""

    def __init__(self, scene: CameraContext, rule: OvertakingRule) -> None:
        super().__init__(scene, rule)
        assert rule.direction_px is not None
        self._ahead = self.ground.direction(rule.direction_px)

    def judge(self, trail: TrackHistory, way: Path, ended: bool) -> Offence | None:
        """Every stay on the oncoming side that began on the own side and ended there."""
        for first, last in stays(self.scene.inside(way.rows, self.rule.zone)):
            behind, back = self._own_side(way, first, last)
            if behind is not None and back is not None and last - first + 1 >= FEWEST:
                offence = self._offence(trail, way, behind, first, last, back)
                if offence is not None:
                    return offence
        return None

    def _own_side(self, way: Path, first: int, last: int) -> tuple[int | None, int | None]:
        """The last row on the own side before a stay on the other, and the first after it; None where there is none."""
        own, times = self.scene.inside(way.rows, self.rule.own_zone), way.captured_s
        held = np.convolve(own, np.ones(FEWEST), "valid") >= FEWEST
        before = np.flatnonzero(held[: max(0, first - FEWEST + 1)]) + FEWEST - 1
        after = np.flatnonzero(held[last + 1 :]) + last + 1
        behind = int(before[-1]) if len(before) and times[first] - times[before[-1]] <= CHANGE_S else None
        back = int(after[0]) if len(after) and times[after[0]] - times[last] <= CHANGE_S else None
        return behind, back

    def _offence(self, trail: TrackHistory, way: Path, behind: int, first: int, last: int, back: int) -> Offence | None:
        whole = way.part(behind, back)
        if not self._drove_ahead(whole):
            return None
        others = (t for t in (*self.scene.trails.values(), *self.scene.departed) if t.track != trail.track)
        level_s = next(filter(None, (self._drew_level_s(whole, other) for other in others)), None)
        behind_s, out_s, in_s, back_s = (float(way.captured_s[row]) for row in (behind, first, last, back))
        charge = self.law.charge(trail, behind_s, back_s)
        if level_s is None or charge is None or not out_s <= level_s <= in_s:
            return None
        instants = {"behind": behind_s, "out": out_s, "level": level_s, "back": back_s}
        account = f"Passed a moving vehicle by way of zone {self.rule.zone} and came back before it."
        return charge.offence(level_s, instants, account)

    def _drove_ahead(self, way: Path) -> bool:
        moved = way.position_m[-1] - way.position_m[0]
        return float(moved @ self._ahead) > 0.8 * float(np.hypot(*moved)) and moved_by_its_height(way.rows)

    def _drew_level_s(self, way: Path, other: TrackHistory) -> float | None:
        """When the vehicle drew level with another that drove the same way, from behind it to before it."""
        began_s, ended_s = float(way.captured_s[0]), float(way.captured_s[-1])
        rows = other.around(began_s, ended_s)
        rows = rows[np.isfinite(rows["position_m"]).all(axis=1)]
        if len(rows) < 2 * FEWEST or not self._drives_lawfully(rows):
            return None
        times = rows["captured_s"]
        if times[0] > began_s or times[-1] < ended_s:
            return None
        lead_m = way.position_m @ self._ahead - np.interp(way.captured_s, times, self._along_m(rows))
        if lead_m[0] > -self.rule.clear_m or lead_m[-1] < self.rule.clear_m:
            return None
        step = slice((level := int(np.argmax(lead_m >= 0))) - 1, level + 1)
        return float(np.interp(0.0, lead_m[step], way.captured_s[step]))

    def _drives_lawfully(self, rows: Rows) -> bool:
        """Does it drive ahead, not slower than `moving_kmh` on the whole, on its own side?"""
        along_m = self._along_m(rows)
        pace_mps = (along_m[-1] - along_m[0]) / (rows["captured_s"][-1] - rows["captured_s"][0])
        own = self.scene.inside(rows, self.rule.own_zone).mean() >= ON_ITS_SIDE
        return bool(own and pace_mps * KMH >= self.rule.moving_kmh)

    def _along_m(self, rows: Rows) -> Floats:
        return np.asarray(smoothed(np.ascontiguousarray(rows["position_m"])) @ self._ahead)
