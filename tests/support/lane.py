"""A lane at the edge of the road: scenes for the rules against driving in an area."""

from __future__ import annotations

from engine.site import Zone
from engine.types import Violation
from tests.support.road import ROAD, Trajectory, Vehicle, area, judged, site

LANE = Zone(name="lane", polygon_px=area(2.5, 14, 6, 90))
ENTRY = Zone(name="entry", polygon_px=area(2.5, 14, 6, 60))
SIDE_STREET = Zone(name="side-street", polygon_px=area(6.5, 60, 16, 80))
BEYOND = Zone(name="beyond", polygon_px=area(2.5, 40, 6, 90))
ZONES = (ROAD, LANE, ENTRY, SIDE_STREET, BEYOND)
INSIDE, BESIDE = 4.2, 0.0


def drive_in(rule, *paths: Trajectory, lasts_s: float = 12.0, zones=ZONES, lines=(), **of_vehicle) -> list[Violation]:
    where = site(rule, zones=zones, lines=lines)
    vehicles = [Vehicle(track=n, path=path, **of_vehicle) for n, path in enumerate(paths)]
    return judged(where, *vehicles, lasts_s=lasts_s)
