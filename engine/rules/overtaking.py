"""`overtaking_or_position`, overtaking: passes a moving vehicle by way of the oncoming side, and comes back.

The passer was on its own side behind the other, was on the oncoming side (the zone) when it drew level, and is on its
own side before it. The other moved the same way all the time, on its own side: who passes what stands has passed an
obstacle. A vehicle that does not come back in the picture has not been seen to overtake (see `oncoming_lane`).
"""

from __future__ import annotations

import numpy as np

from engine.rules.by_trail import ByTrail
from engine.rules.kind import Offence, Scene
from engine.rules.trail import Rows, Trail
from engine.rules.way import Way, moved_by_its_height, smoothed, stays
from engine.siterules import OvertakingRule
from engine.types import Floats

FEWEST = 3
"""Sightings on either side of the road that make a stay there."""
KMH = 3.6


class Overtaking(ByTrail[OvertakingRule]):
    """A rule against overtaking."""

    def __init__(self, scene: Scene, rule: OvertakingRule) -> None:
        super().__init__(scene, rule)
        assert rule.direction_px is not None
        self._ahead = self.ground.direction(rule.direction_px)

    def judge(self, trail: Trail, way: Way, ended: bool) -> Offence | None:
        """Every stay on the oncoming side that was seen to begin and to end."""
        for first, last in stays(self.scene.inside(way.rows, self.rule.zone)):
            whole = first >= FEWEST and len(way) - last > FEWEST and last - first + 1 >= FEWEST
            if whole and self._drove_ahead(way.part(first, last)):
                offence = self._offence(trail, way.part(first - FEWEST, last + FEWEST))
                if offence is not None:
                    return offence
        return None

    def _drove_ahead(self, way: Way) -> bool:
        moved = way.position_m[-1] - way.position_m[0]
        return float(moved @ self._ahead) > 0.8 * float(np.hypot(*moved)) and moved_by_its_height(way.rows)

    def _offence(self, trail: Trail, way: Way) -> Offence | None:
        others = (t for t in (*self.scene.trails.values(), *self.scene.departed) if t.track != trail.track)
        level_s = next(filter(None, (self._drew_level_s(way, other) for other in others)), None)
        if level_s is None:
            return None
        out_s, back_s = float(way.captured_s[FEWEST]), float(way.captured_s[-FEWEST - 1])
        charge = self.law.charge(trail, float(way.captured_s[0]), float(way.captured_s[-1]))
        instants = {"behind": float(way.captured_s[0]), "out": out_s, "level": level_s, "back": back_s}
        account = f"Passed a moving vehicle by way of zone {self.rule.zone} and came back before it."
        return None if charge is None else charge.offence(level_s, instants, account)

    def _drew_level_s(self, way: Way, other: Trail) -> float | None:
        """When the vehicle, on the oncoming side, drew level with another that drove the same way on its own side."""
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
        level = int(np.argmax(lead_m >= 0))
        within = self.scene.inside(way.rows, self.rule.zone)[level - 1 : level + 1].any()
        return (
            float(np.interp(0.0, lead_m[level - 1 : level + 1], way.captured_s[level - 1 : level + 1]))
            if within
            else None
        )

    def _drives_lawfully(self, rows: Rows) -> bool:
        """Does it drive ahead, not slower than `moving_kmh` on the whole, on its own side?"""
        along_m = self._along_m(rows)
        pace_mps = (along_m[-1] - along_m[0]) / (rows["captured_s"][-1] - rows["captured_s"][0])
        return bool(pace_mps * KMH >= self.rule.moving_kmh and self.scene.inside(rows, self.rule.zone).mean() < 0.2)

    def _along_m(self, rows: Rows) -> Floats:
        return np.asarray(smoothed(np.ascontiguousarray(rows["position_m"])) @ self._ahead)
