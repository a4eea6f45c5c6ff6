"""Driving in an area over a distance and for a time: for bus lanes, shoulders, no entry, closed parts of a road."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.config import Positive
from engine.rules.evaluator import Breach, CameraContext
from engine.rules.path import Path, PathRule, RoadPlane, moved_by_its_height, stays
from engine.rules.track_history import TrackHistory
from engine.rules.zones import came_in_s
from engine.site import Rule
from engine.types import Floats

FEWEST = 5
"""Sightings that make a stay."""
OUTSIDE = 2
"""With this many sightings outside before the stay, the vehicle was seen to come in."""
LEFT = 3
"""With this many sightings outside after the stay, the vehicle has left."""


class LaneRule(Rule, frozen=True, kw_only=True):
    """A rule against driving in an area."""

    at_least_m: Positive = 20.0
    """An offence only over at least this distance driven in the zone,"""
    at_least_s: Positive = 1.5
    """and for at least this time."""
    open_zones: tuple[str, ...] = ()
    """Parts of the zone in which driving is allowed: dashed entries, accesses to premises. They do not count."""

    @property
    def zones(self) -> tuple[str, ...]:
        """See `Rule.zones`."""
        return (self.zone, *self.open_zones)


@dataclass(frozen=True, slots=True)
class Stay:
    """A vehicle's uninterrupted stay in an area."""

    path: Path
    """Inside the area."""
    driven_m: Floats
    """(P,) f8: distance driven in the area up to every sighting."""
    entered_s: float
    """When it came in, between two frames; the first sighting if that was not seen."""
    came: bool
    """It was seen outside the area before."""
    after: Path
    """After the stay."""

    @property
    def left(self) -> bool:
        """True if the vehicle was seen outside the area afterwards."""
        return len(self.after) >= LEFT

    def proved_s(self, at_least_m: float, at_least_s: float) -> float | None:
        """When both were reached; None if they were not, or if the box moved by no more than its errors."""
        since_s = self.path.captured_s - self.path.captured_s[0]
        reached = np.flatnonzero((self.driven_m >= at_least_m) & (since_s >= at_least_s))
        moved = (row for row in reached.tolist() if moved_by_its_height(self.path.rows[: row + 1]))
        row = next(moved, None)
        return None if row is None else float(self.path.captured_s[row])


def breaches(
    evaluator: PathRule[Any], history: TrackHistory, path: Path, open_zones: Sequence[str] = ()
) -> Iterator[tuple[Stay, Breach]]:
    """Every stay in the rule's zone that breaks it, from coming in until `at_least_m` and `at_least_s` are reached."""
    rule = evaluator.rule
    for stay in stays_in(evaluator.context, evaluator.ground, path, rule.zone, open_zones):
        proved_s = stay.proved_s(rule.at_least_m, rule.at_least_s)
        breach = None if proved_s is None else evaluator.breach(history, stay.entered_s, proved_s)
        if breach is not None:
            yield stay, breach


def instants(breach: Breach) -> dict[str, float]:
    """The instants of proof by name."""
    return {"entry": breach.began_s, "proved": breach.ended_s}


def stays_in(
    context: CameraContext, ground: RoadPlane, path: Path, zone: str, open_zones: Sequence[str]
) -> Iterator[Stay]:
    """Every stay of the path in a zone without its open parts."""
    within = context.inside(path.rows, zone)
    for name in open_zones:
        within = within & ~context.inside(path.rows, name)
    for first, last in stays(within):
        if last - first + 1 >= FEWEST:
            part = path.part(first, last)
            yield Stay(
                path=part,
                driven_m=ground.driven_m(part),
                entered_s=came_in_s(context, path, zone, first),
                came=first >= OUTSIDE,
                after=path.part(last + 1, len(path)),
            )
