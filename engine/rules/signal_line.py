"""A line before a signal: between which two instants the front of a vehicle crossed it, and what the signal showed.

A box shows where the vehicle's near end meets the road. If the vehicle comes towards the camera, that is its front. If
it drives away, it is its rear, and the front is ahead by the vehicle's length, of which only the range of its class is
known; seen from the side it is something between. So a crossing is a pair of instants: before the first even the
longest vehicle's front is short of the line, after the second even the shortest vehicle's front is over it. Whatever
must hold at the crossing must hold all the time between the two, in favour of the driver.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeVar

import numpy as np
from msgspec import Meta

from engine.errors import ConfigError
from engine.rules.evaluator import CameraContext, Offence
from engine.rules.path import Path, PathRule, RoadPlane
from engine.rules.track_history import TrackHistory
from engine.rules.vehicle_size import length_m
from engine.signals import NOT_GREEN, PROHIBITS
from engine.site import Polygon, Rule
from engine.types import Floats, Phase, Reason

FOOT_M = 0.3
"""Error of the foot point along the road that smoothing does not remove."""
AWAY = 0.5
"""Cosine between the path over the line and the line of sight from which on the vehicle is seen from behind; below its
negative, from the front."""
STEP_M, STEP_PX = 1.5, 4.0
"""A step between sightings may be longer by `STEP_M`, and the road that `STEP_PX` pixels cover, than twice the speed
before or after allows; a longer one is a jump to another vehicle."""
FEWEST = 4
"""Sightings on the path over the line."""
BEFORE_S = 0.4
"""The still before the line is taken this long before the first instant at which the front can have reached it."""
STAND_M = 0.5
"""A vehicle that stays within this distance stands."""


class SignalLineRule(Rule, frozen=True, kw_only=True):
    """A rule about a line before a signal; the zone is where a vehicle comes to beyond the line."""

    line: str
    """The stop line, drawn so that driving on leads from its left to its right."""
    signal: Annotated[tuple[str, ...], Meta(min_length=1)]
    """The signals of the line: at least one must prohibit, the others may show nothing else."""
    unless: tuple[str, ...] = ()
    """Arrow sections that allow the movement by themselves: each must certainly not be green."""
    grace_s: Annotated[float, Meta(ge=0)] = 0.5
    """The signal must have prohibited for this long before the vehicle can have reached the line."""

    @property
    def lines(self) -> tuple[str, ...]:
        """See `Rule.lines`."""
        return (self.line,)

    @property
    def signals(self) -> tuple[str, ...]:
        """See `Rule.signals`."""
        return (*self.signal, *self.unless)


S = TypeVar("S", bound=SignalLineRule)


@dataclass(frozen=True, slots=True)
class Passing:
    """A vehicle's path over the line."""

    early_s: float
    """Before this instant no part of it can have been over the line."""
    late_s: float
    """After this instant its front was certainly over the line."""
    path: Path
    """From the last sighting before `early_s` on."""


class StopLine:
    """The line of a rule on the ground."""

    def __init__(self, context: CameraContext, rule: SignalLineRule, ground: RoadPlane) -> None:
        """Raises ConfigError if the line crosses the horizon of the calibration or has no length on the road."""
        self._ground, self._name = ground, f"line {rule.line}"
        line = context.line(rule.line)
        begin, end = np.array(line.from_px), np.array(line.to_px)
        right = np.array([begin[1] - end[1], end[0] - begin[0]]) / max(1e-9, float(np.hypot(*(end - begin))))
        middle = (begin + end) / 2
        points = (begin, end, middle, middle + right, middle - (0.0, 1.0))
        self._begin_m, end_m, middle_m, right_m, up_m = self._grounded(points)
        self._length_m = float(np.hypot(*(end_m - self._begin_m)))
        if not self._length_m > 0:
            raise ConfigError(f"site {context.site.name}: rule {rule.name}: line {rule.line} has no length")
        self._along = (end_m - self._begin_m) / self._length_m
        self._ahead = np.array([-self._along[1], self._along[0]])
        self._ahead *= np.sign(self._ahead @ (right_m - middle_m))
        self._facing = float(self._ahead @ (up_m - middle_m) / np.hypot(*(up_m - middle_m)))

    def _grounded(self, points_px: Sequence[Floats]) -> Floats:
        return self._ground.points_m(tuple((float(x), float(y)) for x, y in points_px), self._name)

    def front_m(self, history: TrackHistory) -> tuple[float, float]:
        """Smallest and largest distance of the vehicle's front ahead of its foot point."""
        least, most = length_m(history)
        if self._facing >= AWAY:
            return least - FOOT_M, most + FOOT_M
        return (-FOOT_M, FOOT_M) if self._facing <= -AWAY else (-FOOT_M, most + FOOT_M)

    def ahead_m(self, position_m: Floats) -> Floats:
        """(P,) f8: distance of points (P, 2) beyond the line; negative before it."""
        return np.asarray((position_m - self._begin_m) @ self._ahead)

    def leads_to(self, polygon_px: Polygon) -> bool:
        """True if the middle of an area lies beyond the line."""
        return bool(self.ahead_m(self._grounded([np.mean(polygon_px, axis=0)]))[0] > 0)

    def passing(self, history: TrackHistory, path: Path) -> Passing | None:
        """The vehicle's last path over the line; None if it was not seen to cross it."""
        least, most = self.front_m(history)
        ahead_m = self.ahead_m(path.position_m)
        late = _last_rise(path.captured_s, ahead_m + least, len(path))
        early = _last_rise(path.captured_s, ahead_m + most, late[0] + 2) if late else None
        if late is None or early is None or not self._on_line(path.position_m, ahead_m + least, late[0]):
            return None
        found = Passing(early[1], late[1], path.part(early[0], len(path) - 1))
        return found if self._is_one_vehicle(found.path) else None

    def _on_line(self, position_m: Floats, front_m: Floats, row: int) -> bool:
        """True if the step from a row to the next leads over the line, not past one of its ends."""
        share = front_m[row] / (front_m[row] - front_m[row + 1])
        at = (position_m[row] + share * (position_m[row + 1] - position_m[row]) - self._begin_m) @ self._along
        return bool(0 <= at <= self._length_m)

    def _is_one_vehicle(self, path: Path) -> bool:
        """True if the path has no jump, as from a vehicle that waits to one that crosses beyond it."""
        if len(path) < FEWEST:
            return False
        lasted_s, steps_m = np.diff(path.captured_s), np.hypot(*np.diff(path.position_m, axis=0).T)
        speeds_mps = np.pad(steps_m / lasted_s, 1)
        driven_m = 2 * np.maximum(speeds_mps[:-2], speeds_mps[2:]) * lasted_s
        noise_m = STEP_M + STEP_PX * self._ground.pixel_m(path.rows)[1:]
        return bool((steps_m <= driven_m + noise_m).all())


def _last_rise(times: Floats, value: Floats, rows: int) -> tuple[int, float] | None:
    """The last of the first `rows` rows after which the value rises through zero, and the instant between the two."""
    rises = np.flatnonzero((value[: rows - 1] < 0) & (value[1:rows] >= 0))
    if not len(rises):
        return None
    row = int(rises[-1])
    share = value[row] / (value[row] - value[row + 1])
    return row, float(times[row] + share * (times[row + 1] - times[row]))


class SignalLineEvaluator(PathRule[S]):
    """What the rules about a line before a signal share."""

    prohibits: ClassVar[Collection[Phase]] = PROHIBITS

    def __init__(self, context: CameraContext, rule: S) -> None:
        super().__init__(context, rule)
        self.line = StopLine(context, rule, self.ground)

    def end(self, history: TrackHistory) -> Offence | None:
        """Evaluate the whole path, even if another track continues the vehicle: that one began beyond the line."""
        return self._evaluate(history, ended=True)

    def doubts(self) -> Iterator[str]:
        """Signals that never prohibit, and a zone that is not beyond the line."""
        site, rule = self.context.site, self.rule
        for signal in (signal for signal in site.signals if signal.name in rule.signal):
            if not signal.controller and "red" not in {lamp.colour for lamp in signal.lamps}:
                yield f"signal {signal.name} has no red lamp and no controller: it proves no offence"
        zone = next(zone for zone in site.zones if zone.name == rule.zone)
        if not self.line.leads_to(zone.polygon_px):
            yield f"zone {rule.zone} does not lie beyond line {rule.line}: is the line drawn the other way round?"

    def prohibited_since_s(self, passing: Passing, ended_s: float) -> float | None:
        """Since when the signal prohibited the crossing; None unless it did during the grace and up to `ended_s`."""
        camera, signals = self.context.camera, self.context.signals
        for section in self.rule.unless:
            if signals.since_s(camera, (section,), NOT_GREEN, passing.early_s, ended_s) is None:
                return None
        return signals.since_s(camera, self.rule.signal, self.prohibits, passing.early_s - self.rule.grace_s, ended_s)

    def through_s(self, passing: Passing) -> float | None:
        """When the vehicle was first seen in the zone beyond the line; None if it was not."""
        times = passing.path.captured_s
        beyond = self.context.inside(passing.path.rows, self.rule.zone) & (times > passing.late_s)
        return float(times[np.argmax(beyond)]) if beyond.any() else None

    def offence(
        self, history: TrackHistory, passing: Passing, instant: str, ended_s: float, reason: Reason
    ) -> Offence | None:
        """The offence, dated to the crossing and proved by another named instant; None if the law excludes it."""
        before_s = max(float(history.rows["captured_s"][0]), passing.early_s - BEFORE_S)
        breach = self.breach(history, before_s, ended_s)
        instants = {"before": before_s, "line": passing.late_s, instant: ended_s}
        return breach.offence(passing.late_s, instants, reason) if breach else None


def standing_from(times_s: Floats, position_m: Floats, stand_s: float) -> int | None:
    """The first row from which the vehicle stays within `STAND_M` for `stand_s`; None if there is no such row."""
    for row, began_s in enumerate(times_s.tolist()):
        stay = (times_s >= began_s) & (times_s <= began_s + stand_s + 1e-6)
        if times_s[-1] - began_s < stand_s:
            return None
        if np.hypot(*(position_m[stay] - position_m[row]).T).max() <= STAND_M:
            return row
    return None
