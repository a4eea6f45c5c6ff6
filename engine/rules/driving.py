"""Driving in an area for a distance and a time: what bus lanes, shoulders, entries and closed parts of a road ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.rules.evaluator import CameraContext
from engine.rules.passage import came_in_s
from engine.rules.path import Path, RoadPlane, moved_by_its_height, stays
from engine.types import Floats

FEWEST = 5
"""Sightings that make a stay."""
OUTSIDE = 2
"""So many sightings outside before it, and the vehicle was seen to come in."""
LEFT = 3
"""So many sightings outside after it, and the vehicle has left."""


@dataclass(frozen=True, slots=True)
class Stay:
    """A vehicle's uninterrupted stay in an area."""

    way: Path
    """Inside."""
    driven_m: Floats
    """(P,) f8: driven in the area by every sighting."""
    entered_s: float
    """When it came in, between two frames; the first sighting where it was not seen to."""
    came: bool
    """It was seen outside before."""
    after: Path
    """Since the stay."""

    @property
    def left(self) -> bool:
        return len(self.after) >= LEFT

    def instants(self, proved_s: float) -> dict[str, float]:
        """The instants of proof by name."""
        return {"entry": self.entered_s, "proved": proved_s}

    def proved_s(self, at_least_m: float, at_least_s: float) -> float | None:
        """When both had been reached; None where they were not, or where the box moved less than a box's errors do."""
        since_s = self.way.captured_s - self.way.captured_s[0]
        reached = np.flatnonzero((self.driven_m >= at_least_m) & (since_s >= at_least_s))
        moved = (row for row in reached.tolist() if moved_by_its_height(self.way.rows[: row + 1]))
        row = next(moved, None)
        return None if row is None else float(self.way.captured_s[row])


def stays_in(
    scene: CameraContext, ground: RoadPlane, way: Path, zone: str, open_zones: Sequence[str] = ()
) -> Iterator[Stay]:
    """Every stay of the way in a zone, less those parts of the zone that are open to it."""
    within = scene.inside(way.rows, zone)
    for name in open_zones:
        within = within & ~scene.inside(way.rows, name)
    for first, last in stays(within):
        if last - first + 1 >= FEWEST:
            part = way.part(first, last)
            yield Stay(
                way=part,
                driven_m=ground.driven_m(part),
                entered_s=came_in_s(scene, way, zone, first),
                came=first >= OUTSIDE,
                after=way.part(last + 1, len(way)),
            )
