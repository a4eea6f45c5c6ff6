"""Who stands where: a vehicle that is lost from sight and found again is one vehicle, and one offence one case.

A tracker gives up a vehicle that something hides for longer than a second or so; when it shows again it has another
identity. What has been told of a place is kept by the place, until the vehicle is seen to leave it, or nothing has been
seen standing there for long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from engine.types import Sighting

SAME_M = 2.0
"""Nearer than this, two feet on the road are of one vehicle: no two vehicles park nearer."""
SAME_IOU = 0.5
"""So are two boxes that overlap more than this."""
LEFT_M = 10.0
"""A vehicle that was accused and is farther away than this has left; it may be accused of standing anew."""
REUNITE_S = 20.0
"""Standing goes on over a time out of sight up to this, if box and place both fit."""
FORGET_S = 600.0
"""A place where nothing stood for longer than this is forgotten."""
MOST_PLACES = 64

Box = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass(slots=True)
class OccupiedPlace:
    """Where a vehicle stands, or stood when it was last seen."""

    rule: str
    track: int
    xyxy_px: Box
    position_m: Point
    since_s: float
    seen_s: float
    halt: Sighting
    """The vehicle when it came to stand."""


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@dataclass(slots=True)
class OccupiedPlaces:
    """The memory of one camera."""

    told: list[OccupiedPlace] = field(default_factory=list)
    """Where a vehicle stands that has been accused of it."""
    lost: list[OccupiedPlace] = field(default_factory=list)
    """Where a vehicle stood when its track ended."""

    def tell(self, place: OccupiedPlace) -> None:
        """The vehicle that stands there has been accused."""
        self.told = [*self.told[1 - MOST_PLACES :], place]

    def lose(self, place: OccupiedPlace) -> None:
        """The track of a vehicle that stands there has ended."""
        self.lost = [*self.lost[1 - MOST_PLACES :], place]

    def found(self, rule: str, box: Box, position: Point, since_s: float) -> OccupiedPlace | None:
        """What was lost where a vehicle is first seen standing at `since_s`; it is not lost any more."""
        for place in self.lost:
            near = math.dist(place.position_m, position) <= SAME_M and overlap(place.xyxy_px, box) >= SAME_IOU
            if place.rule == rule and near and place.seen_s <= since_s:
                self.lost.remove(place)
                return place
        return None

    def of_track(self, track: int) -> OccupiedPlace | None:
        """Where this track has been accused of standing."""
        return next((place for place in self.told if place.track == track), None)

    def accused(self, box: Box, position: Point) -> OccupiedPlace | None:
        """The accused vehicle whose place this is."""
        for place in self.told:
            if math.dist(place.position_m, position) <= SAME_M or overlap(place.xyxy_px, box) >= SAME_IOU:
                return place
        return None

    def leave(self, place: OccupiedPlace) -> None:
        """The accused vehicle was seen to leave."""
        self.told.remove(place)

    def forget(self, now_s: float) -> None:
        """Drop what is too old to be of use."""
        self.told = [place for place in self.told if now_s - place.seen_s <= FORGET_S]
        self.lost = [place for place in self.lost if now_s - place.seen_s <= REUNITE_S]
