"""Where vehicles stand: a vehicle that is lost from sight and found again is one vehicle, and its stay one offence.

A tracker ends the track of a vehicle that is hidden for longer than about a second; when the vehicle shows again, it
has a new identity. So a reported stay is remembered by its place, until the vehicle is seen to leave, or nothing has
been seen standing there for long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from engine.types import Sighting

SAME_M = 2.0
"""Two foot points nearer than this belong to one vehicle: no two vehicles park nearer."""
SAME_IOU = 0.5
"""So do two boxes that overlap by more than this."""
LEFT_M = 10.0
"""A reported vehicle that is farther away than this has left; standing may be reported again."""
REUNITE_S = 20.0
"""A stand continues over a time out of sight up to this, if box and position both fit."""
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
    """The vehicle when it came to a stand."""


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@dataclass(slots=True)
class OccupiedPlaces:
    """The places of one camera; at most `MOST_PLACES` of each sort."""

    reported: list[OccupiedPlace] = field(default_factory=list)
    """Where a vehicle stands that was reported."""
    lost: list[OccupiedPlace] = field(default_factory=list)
    """Where a vehicle stood when its track ended."""

    def report(self, place: OccupiedPlace) -> None:
        """Remember that the vehicle at this place was reported."""
        self.reported = [*self.reported[1 - MOST_PLACES :], place]

    def lose(self, place: OccupiedPlace) -> None:
        """Remember where a vehicle stood when its track ended."""
        self.lost = [*self.lost[1 - MOST_PLACES :], place]

    def take_lost(self, rule: str, box: Box, position: Point, since_s: float) -> OccupiedPlace | None:
        """The lost vehicle that is first seen standing here again at `since_s`, removed from `lost`; None if new."""
        for place in self.lost:
            near = math.dist(place.position_m, position) <= SAME_M and overlap(place.xyxy_px, box) >= SAME_IOU
            if place.rule == rule and near and place.seen_s <= since_s:
                self.lost.remove(place)
                return place
        return None

    def of_track(self, track: int) -> OccupiedPlace | None:
        """The place where this track was reported."""
        return next((place for place in self.reported if place.track == track), None)

    def reported_at(self, box: Box, position: Point) -> OccupiedPlace | None:
        """The place of a reported vehicle that this box or position belongs to."""
        for place in self.reported:
            if math.dist(place.position_m, position) <= SAME_M or overlap(place.xyxy_px, box) >= SAME_IOU:
                return place
        return None

    def leave(self, place: OccupiedPlace) -> None:
        """The reported vehicle was seen to leave."""
        self.reported.remove(place)

    def forget(self, now_s: float) -> None:
        """Drop what is too old to be of use."""
        self.reported = [place for place in self.reported if now_s - place.seen_s <= FORGET_S]
        self.lost = [place for place in self.lost if now_s - place.seen_s <= REUNITE_S]
