"""The zones of many sites as the tables that the kernels read, and what the kernels say of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.rules.kind import Scene
from engine.rules.trail import Trail, foot_px
from engine.site import Polygon, Site
from engine.types import Flags, Floats, Ints32
from kernels.zones import Polygons, Segments, crossed, inside


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


def entered_s(scene: Scene, zone: str, trail: Trail) -> float | None:
    """When the foot point last came into the zone, between two frames; None where it was not seen to."""
    within = scene.inside(trail.rows, zone)
    entries = np.flatnonzero(within[1:] & ~within[:-1])
    if not len(entries):
        return None
    step = trail.rows[entries[-1] : entries[-1] + 2]
    border = edges(scene.site.zones[scene.columns[zone]].polygon_px)
    fraction, direction = np.empty((1, len(border.end_px))), np.empty((1, len(border.end_px)), np.int8)
    foot = foot_px(step)
    crossed(foot[:1], foot[1:], np.zeros(1, np.int32), border, fraction, direction)
    if np.isnan(fraction).all():
        return None
    before_s, after_s = step["captured_s"].tolist()
    return float(before_s + np.nanmax(fraction) * (after_s - before_s))
