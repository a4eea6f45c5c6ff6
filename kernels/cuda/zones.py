"""`kernels.zones` on the GPU, one thread per point or step."""

from __future__ import annotations

from typing import Any

from kernels import zones
from kernels.cuda.source import cuda, launch, on_device
from kernels.zones import Polygons, Segments

_inside_on_device = on_device(zones.inside)
_find_crossings_on_device = on_device(zones.find_crossings)


@cuda.jit
def _inside(point_px: Any, group: Any, corner_px: Any, first_corner: Any, first: Any, out: Any) -> None:
    polygons = Polygons(corner_px, first_corner, first)
    _inside_on_device(point_px, group, polygons, out, (cuda.grid(1), cuda.gridsize(1)))


@cuda.jit
def _find_crossings(
    from_px: Any, to_px: Any, group: Any, end_px: Any, first: Any, fraction: Any, direction: Any
) -> None:
    stride = (cuda.grid(1), cuda.gridsize(1))
    _find_crossings_on_device(from_px, to_px, group, Segments(end_px, first), fraction, direction, stride)


def inside(point_px: Any, group: Any, polygons: Polygons, out: Any, stream: Any = 0) -> None:
    """`kernels.zones.inside`; the arrays of `polygons` are device arrays too."""
    launch(_inside, len(group), stream, point_px, group, *polygons, out)


def find_crossings(
    from_px: Any, to_px: Any, group: Any, segments: Segments, fraction: Any, direction: Any, stream: Any = 0
) -> None:
    """`kernels.zones.find_crossings`; the arrays of `segments` are device arrays too."""
    launch(_find_crossings, len(group), stream, from_px, to_px, group, *segments, fraction, direction)
