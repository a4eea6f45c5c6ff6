"""`overtaking_or_position`: overtakes over the oncoming side, or drives where driving is not allowed.

Overtaking: the vehicle was on its own side behind another, on the oncoming side (the zone) when it drew level, and is
on its own side before it. The other moved the same way all the time, on its own side: passing a standing vehicle is
passing an obstacle. A vehicle that does not come back in the picture was not seen to overtake (see `oncoming_lane`).

Position: drives on a hatched island, on tram tracks of the other direction, in a lane closed to the rule's classes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from engine.config import Positive
from engine.rules.driving import breaches, instants
from engine.rules.evaluator import CameraContext, Offence, RuleKind
from engine.rules.path import Path, PathRule, moved_by_its_height, smoothed, stays
from engine.rules.track_history import Rows, TrackHistory
from engine.site import PointPx, Rule
from engine.site.rule import require_arrow
from engine.types import KMH, Floats, Reason

FEWEST = 3
"""Sightings on one side of the road that make a stay there."""
CHANGE_S = 3.0
"""Longest change from one side to the other."""
ON_ITS_SIDE = 0.8
"""Share of the sightings of the other vehicle that must be on its own side."""


class OvertakingRule(Rule, frozen=True, kw_only=True, tag="overtaking_or_position"):
    """Overtakes where that is forbidden; or drives on a part of the carriageway that is not for driving."""

    manoeuvre: Literal["overtaking", "position"]
    direction_px: tuple[PointPx, PointPx] | None = None
    """overtaking: an arrow in the image along the own side of the road; the zone is the oncoming side."""
    own_zone: str = ""
    """overtaking: the own side of the road."""
    clear_m: Positive = 2.0
    """overtaking: at least this far behind the other vehicle at first, and before it at the end."""
    moving_kmh: Positive = 10.0
    """overtaking: a slower vehicle is an obstacle, it is not overtaken."""
    at_least_m: Positive = 20.0
    """position: an offence only over at least this distance driven in the zone,"""
    at_least_s: Positive = 1.5
    """and for at least this time."""

    def __post_init__(self) -> None:
        if {self.manoeuvre == "overtaking"} != {self.direction_px is not None, bool(self.own_zone)}:
            raise ValueError(f"rule {self.name}: direction_px and own_zone belong to overtaking, which needs both")
        if self.direction_px is not None:
            require_arrow(self, self.direction_px)

    @property
    def zones(self) -> tuple[str, ...]:
        """See `Rule.zones`."""
        return (self.zone, self.own_zone) if self.own_zone else (self.zone,)

    @property
    def points_px(self) -> tuple[PointPx, ...]:
        return self.direction_px or ()


class Overtaking(PathRule[OvertakingRule]):
    """A rule against overtaking."""

    def __init__(self, context: CameraContext, rule: OvertakingRule) -> None:
        super().__init__(context, rule)
        assert rule.direction_px is not None
        self._ahead = self.ground.direction(rule.direction_px)

    def evaluate(self, history: TrackHistory, path: Path, ended: bool) -> Offence | None:
        """Every stay on the oncoming side that began on the own side and ended there."""
        for first, last in stays(self.context.inside(path.rows, self.rule.zone)):
            behind, back = self._own_side(path, first, last)
            if behind is not None and back is not None and last - first + 1 >= FEWEST:
                offence = self._offence(history, path, behind, first, last, back)
                if offence is not None:
                    return offence
        return None

    def _own_side(self, path: Path, first: int, last: int) -> tuple[int | None, int | None]:
        """The last row on the own side before a stay on the other, and the first after it; None if not seen."""
        own, times = self.context.inside(path.rows, self.rule.own_zone), path.captured_s
        held = np.convolve(own, np.ones(FEWEST), "valid") >= FEWEST
        before = np.flatnonzero(held[: max(0, first - FEWEST + 1)]) + FEWEST - 1
        after = np.flatnonzero(held[last + 1 :]) + last + 1
        behind = int(before[-1]) if len(before) and times[first] - times[before[-1]] <= CHANGE_S else None
        back = int(after[0]) if len(after) and times[after[0]] - times[last] <= CHANGE_S else None
        return behind, back

    def _offence(
        self, history: TrackHistory, path: Path, behind: int, first: int, last: int, back: int
    ) -> Offence | None:
        whole = path.part(behind, back)
        if not self._drove_ahead(whole):
            return None
        others = self.context.others(history)
        level_s = next(filter(None, (self._drew_level_s(whole, other) for other in others)), None)
        behind_s, out_s, in_s, back_s = (float(path.captured_s[row]) for row in (behind, first, last, back))
        breach = self.breach(history, behind_s, back_s)
        if level_s is None or breach is None or not out_s <= level_s <= in_s:
            return None
        instants = {"behind": behind_s, "out": out_s, "level": level_s, "back": back_s}
        return breach.offence(level_s, instants, Reason("overtook", {"zone": self.rule.zone}))

    def _drove_ahead(self, path: Path) -> bool:
        moved = path.position_m[-1] - path.position_m[0]
        return float(moved @ self._ahead) > 0.8 * float(np.hypot(*moved)) and moved_by_its_height(path.rows)

    def _drew_level_s(self, path: Path, other: TrackHistory) -> float | None:
        """When the vehicle drew level with another that drove the same way; None if it did not pass it."""
        began_s, ended_s = float(path.captured_s[0]), float(path.captured_s[-1])
        rows = other.around(began_s, ended_s)
        rows = rows[np.isfinite(rows["position_m"]).all(axis=1)]
        if len(rows) < 2 * FEWEST or not self._drives_ahead(rows):
            return None
        times = rows["captured_s"]
        if times[0] > began_s or times[-1] < ended_s:
            return None
        lead_m = path.position_m @ self._ahead - np.interp(path.captured_s, times, self._along_m(rows))
        if lead_m[0] > -self.rule.clear_m or lead_m[-1] < self.rule.clear_m:
            return None
        step = slice((level := int(np.argmax(lead_m >= 0))) - 1, level + 1)
        return float(np.interp(0.0, lead_m[step], path.captured_s[step]))

    def _drives_ahead(self, rows: Rows) -> bool:
        """True if it drives ahead on its own side, at a mean speed of at least `moving_kmh`."""
        along_m = self._along_m(rows)
        pace_mps = (along_m[-1] - along_m[0]) / (rows["captured_s"][-1] - rows["captured_s"][0])
        own = self.context.inside(rows, self.rule.own_zone).mean() >= ON_ITS_SIDE
        return bool(own and pace_mps * KMH >= self.rule.moving_kmh)

    def _along_m(self, rows: Rows) -> Floats:
        return np.asarray(smoothed(np.ascontiguousarray(rows["position_m"])) @ self._ahead)


class Position(PathRule[OvertakingRule]):
    """A rule about the position on the carriageway."""

    def evaluate(self, history: TrackHistory, path: Path, ended: bool) -> Offence | None:
        """The first stay that is long enough."""
        for stay, breach in breaches(self, history, path):
            drove = Reason("drove_in_zone", {"length_m": stay.driven_m[-1], "zone": self.rule.zone})
            return breach.offence(breach.ended_s, instants(breach), drove)
        return None


EVALUATORS = {"overtaking": Overtaking, "position": Position}
KIND = RuleKind(OvertakingRule, lambda context, rule: EVALUATORS[rule.manoeuvre](context, rule))
