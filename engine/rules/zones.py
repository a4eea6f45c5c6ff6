"""Zones and lines: their tables for the kernels, and when a vehicle crossed a border or came from zone to zone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.rules.evaluator import CameraContext
from engine.rules.path import Path, stays
from engine.rules.track_history import Rows, TrackHistory, foot_px
from engine.site import Line, Polygon, Site
from engine.types import Flags, Floats, Ints32
from kernels.zones import Polygons, Segments, find_crossings, inside

GRID = 64
"""Points along each side of the picture at which areas are compared."""
ARRIVED = 3
"""Sightings in a zone that make an arrival."""


class ZoneTable:
    """The zones of all sites; group g holds the zones of the g-th site, in the order of its file."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self._polygons = polygons([[zone.polygon_px for zone in site.zones] for site in sites])
        self.width = max((len(site.zones) for site in sites), default=0)
        """Columns of `inside`: the largest number of zones of a site."""

    def inside(self, point_px: Floats, group: Ints32) -> Flags:
        """(P, width) bool: the point lies in the zone of its camera; point_px (P, 2) f8, group (P,) i4."""
        out = np.empty((len(point_px), self.width), np.bool_)
        inside(np.ascontiguousarray(point_px, np.float64), group, self._polygons, out)
        return out


def polygons(groups: Sequence[Sequence[Polygon]]) -> Polygons:
    """The polygons of all groups, end to end, as the kernels read them."""
    flat = [polygon for group in groups for polygon in group]
    corners = [corner for polygon in flat for corner in polygon]
    return Polygons(
        np.array(corners, np.float64).reshape(-1, 2),
        np.cumsum([0, *map(len, flat)], dtype=np.int32),
        np.cumsum([0, *map(len, groups)], dtype=np.int32),
    )


def covered(polygon: Polygon, size_px: tuple[int, int]) -> Flags:
    """(GRID * GRID,) bool: which points of a grid over a picture lie in a polygon."""
    width, height = size_px
    steps = (np.arange(GRID) + 0.5) / GRID
    points = np.stack(np.meshgrid(steps * width, steps * height), axis=-1).reshape(-1, 2)
    return contains(polygons([[polygon]]), points)


def contains(area: Polygons, point_px: Floats) -> Flags:
    """(P,) bool: points (P, 2) f8 lie in an area of one polygon."""
    out = np.empty((len(point_px), 1), np.bool_)
    inside(np.ascontiguousarray(point_px, np.float64), np.zeros(len(point_px), np.int32), area, out)
    return out[:, 0]


def edges(polygon: Polygon) -> Segments:
    """The border of a polygon as one group of lines."""
    corners = np.array(polygon, np.float64)
    return Segments(np.hstack([corners, np.roll(corners, -1, axis=0)]), np.array([0, len(corners)], np.int32))


def entered_s(context: CameraContext, zone: str, history: TrackHistory) -> float | None:
    """When the foot point last entered the zone, between two frames; None if that was not seen."""
    within = context.inside(history.rows, zone)
    entries = np.flatnonzero(within[1:] & ~within[:-1])
    return border_s(context, zone, history.rows[entries[-1] : entries[-1] + 2]) if len(entries) else None


def border_s(context: CameraContext, zone: str, step: Rows) -> float | None:
    """When the foot point last crossed the border of the zone between two sightings; None if it did not."""
    found = _crossings(step, edges(context.site.zones[context.columns[zone]].polygon_px))
    return float(found[-1, 0]) if len(found) else None


def came_in_s(context: CameraContext, path: Path, zone: str, row: int) -> float:
    """When the step to a row crossed the zone's border; the time of the row itself if that was not seen."""
    at_s = border_s(context, zone, path.rows[row - 1 : row + 1]) if row else None
    return float(path.captured_s[row]) if at_s is None else at_s


@dataclass(frozen=True, slots=True)
class Arrival:
    """A vehicle came into a zone."""

    zone: str
    at_s: float
    """When it came in, between two frames if that was seen."""
    proved_s: float
    """When it had been seen in the zone `ARRIVED` times."""


def arrival(context: CameraContext, path: Path, zones: Sequence[str]) -> Arrival | None:
    """The first stay of the path in one of the zones, in their order; None if it came to no such zone."""
    for zone in zones:
        for first, last in stays(context.inside(path.rows, zone)):
            if last - first + 1 >= ARRIVED:
                at_s, proved_s = came_in_s(context, path, zone, first), float(path.captured_s[first + ARRIVED - 1])
                return Arrival(zone, at_s, proved_s)
    return None


def departed_row(context: CameraContext, path: Path, zone: str) -> int | None:
    """The last row of the latest stay in the zone; None if the vehicle was not there."""
    found = [last for first, last in stays(context.inside(path.rows, zone)) if last - first + 1 >= ARRIVED]
    return found[-1] if found else None


def crossings(rows: Rows, line: Line) -> Floats:
    """(K, 2) f8: instants at which the foot point crossed a line, and the direction (1 forward, -1 back), ascending."""
    return _crossings(rows, Segments(np.array([(*line.from_px, *line.to_px)]), np.array([0, 1], np.int32)))


def _crossings(rows: Rows, lines: Segments) -> Floats:
    """(K, 2) f8: instant and direction of every crossing of any of the lines, ascending."""
    foot, steps, width = foot_px(rows), max(0, len(rows) - 1), len(lines.end_px)
    fraction, direction = np.empty((steps, width)), np.empty((steps, width), np.int8)
    find_crossings(foot[:-1].copy(), foot[1:].copy(), np.zeros(steps, np.int32), lines, fraction, direction)
    step, line = np.nonzero(direction)
    before_s, after_s = rows["captured_s"][step], rows["captured_s"][step + 1]
    at_s = before_s + fraction[step, line] * (after_s - before_s)
    return np.asarray(np.stack([at_s, direction[step, line]], axis=1)[np.argsort(at_s, kind="stable")])
