"""The zones of many sites as the tables that the kernels read, and what the kernels say of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.rules.evaluator import CameraContext
from engine.rules.track_history import Rows, TrackHistory, foot_px
from engine.site import Line, Polygon, Site
from engine.types import Flags, Floats, Ints32
from kernels.zones import Polygons, Segments, find_crossings, inside


class ZoneTable:
    """The zones of all sites; group g holds those of the g-th camera, in the order of its site file."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self._polygons = polygons([[zone.polygon_px for zone in site.zones] for site in sites])
        self.width = max((len(site.zones) for site in sites), default=0)
        """The most zones of any site: columns of `inside`."""

    def inside(self, point_px: Floats, group: Ints32) -> Flags:
        """(P, width) bool: which zones of its camera every point lies in; point_px (P, 2) f8, group (P,) i4."""
        out = np.empty((len(point_px), self.width), np.bool_)
        inside(np.ascontiguousarray(point_px, np.float64), group, self._polygons, out)
        return out


def polygons(groups: Sequence[Sequence[Polygon]]) -> Polygons:
    """Lay the polygons of all groups end to end."""
    flat = [polygon for group in groups for polygon in group]
    corners = [corner for polygon in flat for corner in polygon]
    return Polygons(
        np.array(corners, np.float64).reshape(-1, 2),
        np.cumsum([0, *map(len, flat)], dtype=np.int32),
        np.cumsum([0, *map(len, groups)], dtype=np.int32),
    )


def edges(polygon: Polygon) -> Segments:
    """The border of a polygon as one group of lines."""
    corners = np.array(polygon, np.float64)
    return Segments(np.hstack([corners, np.roll(corners, -1, axis=0)]), np.array([0, len(corners)], np.int32))


def entered_s(scene: CameraContext, zone: str, trail: TrackHistory) -> float | None:
    """When the foot point last came into the zone, between two frames; None where it was not seen to."""
    within = scene.inside(trail.rows, zone)
    entries = np.flatnonzero(within[1:] & ~within[:-1])
    return border_s(scene, zone, trail.rows[entries[-1] : entries[-1] + 2], last=True) if len(entries) else None


def border_s(scene: CameraContext, zone: str, step: Rows, *, last: bool) -> float | None:
    """When the foot point crossed the border of the zone on a step of two sightings: the last time, or the first."""
    border = edges(scene.site.zones[scene.columns[zone]].polygon_px)
    found = _crossings(step, border)
    return None if not len(found) else float(found[-1, 0] if last else found[0, 0])


def line_of(scene: CameraContext, name: str) -> Line:
    """The site's line of that name; the site holds every line that its rules name."""
    return next(line for line in scene.site.lines if line.name == name)


def crossings(rows: Rows, line: Line) -> Floats:
    """(K, 2) f8: instants at which the foot point crossed a line, and which way (1 forward, -1 back), ascending."""
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
