"""Zones and lines: which zones a vehicle is in, where it crosses a line, and since when it stands.

Polygons and lines lie in the image. Those of several sites share one table in groups, so that one call serves a batch
of cameras and no camera's answer depends on another camera.
`stride` is explained in `kernels.ground`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from kernels import Flags, Floats, Ints32, Signs
from kernels.ground import ALL, Stride

SMOOTHING_S = 1.0
"""Time constant of the low-pass filter that removes the detector's jitter from a position."""
MAX_STEP_S = 0.5
"""The filter treats a longer gap as this long, so that the first sighting after it does not outweigh all others."""
GATE = 4.0
"""A sighting more than this many `radius_m` from the stop is first taken as an outlier."""
RELOCATE_AFTER_S = 3.0
"""If the sightings stay elsewhere for longer than this, the vehicle has left the stop."""
MAX_GAP_S = 30.0
"""After a longer gap it is unknown whether the vehicle stayed: a new stop begins."""

STOP = np.dtype(
    [
        ("smooth_x_m", np.float64),
        ("smooth_y_m", np.float64),
        ("mean_x_m", np.float64),
        ("mean_y_m", np.float64),
        ("since_s", np.float64),
        ("seen_s", np.float64),
        ("away_since_s", np.float64),
        ("rows", np.int64),
        ("inside", np.int64),
    ]
)
"""One place where a vehicle seems to stand: smoothed position, mean position, start time, time of the last sighting
there, time since which it is seen elsewhere (nan if it is not), number of sightings there and of those in the zone."""


class Polygons(NamedTuple):
    """The closed polygons of all G groups, corner by corner."""

    corner_px: Floats
    """(C, 2) f8"""
    first_corner: Ints32
    """(Z + 1,) i4: polygon z has the corners first_corner[z] to first_corner[z + 1] - 1."""
    first: Ints32
    """(G + 1,) i4: group g has the polygons first[g] to first[g + 1] - 1."""


class Segments(NamedTuple):
    """The directed line segments of all G groups."""

    end_px: Floats
    """(L, 4) f8: x, y of the first point, x, y of the second."""
    first: Ints32
    """(G + 1,) i4: group g has the lines first[g] to first[g + 1] - 1."""


@njit(cache=True, nogil=True)
def _contains(polygons: Polygons, zone: int, x: float, y: float) -> bool:
    """Even-odd rule with half-open edges: a point on the border of two polygons is in exactly one of them."""
    odd = False
    begin, end = polygons.first_corner[zone], polygons.first_corner[zone + 1]
    before = end - 1
    for corner in range(begin, end):
        x0, y0 = polygons.corner_px[before]
        x1, y1 = polygons.corner_px[corner]
        if (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
            odd = not odd
        before = corner
    return odd


@njit(cache=True, nogil=True)
def inside(point_px: Floats, group: Ints32, polygons: Polygons, out: Flags, stride: Stride = ALL) -> None:
    """Test every point against the polygons of its group.

    point_px   (P, 2) f8: image pixels; a point with a nan is in no polygon
    group      (P,) i4: group of the point
    out        (P, W) bool, out: column k is the group's k-th polygon; W is at least the size of the largest group, and
               columns beyond the point's group are False

    Crossing number test (Shimrat 1962, Algorithm 112), even-odd for polygons that intersect themselves.
    """
    for row in range(stride[0], len(point_px), stride[1]):
        out[row] = False
        begin = polygons.first[group[row]]
        for zone in range(begin, polygons.first[group[row] + 1]):
            out[row, zone - begin] = _contains(polygons, zone, point_px[row, 0], point_px[row, 1])


@njit(cache=True, nogil=True)
def _orientation(ax: float, ay: float, bx: float, by: float, x: float, y: float) -> float:
    """Twice the signed area of triangle a, b, point: positive right of the line from a to b, with y pointing down."""
    return (bx - ax) * (y - ay) - (by - ay) * (x - ax)


@njit(cache=True, nogil=True)
def find_crossings(
    from_px: Floats,
    to_px: Floats,
    group: Ints32,
    segments: Segments,
    fraction: Floats,
    direction: Signs,
    stride: Stride = ALL,
) -> None:
    """Find where the steps from one sighting to the next cross the lines of their group.

    from_px    (P, 2) f8: start of the step, image pixels; a step with a nan crosses no line
    to_px      (P, 2) f8: end of the step
    group      (P,) i4: group of the step
    fraction   (P, W) f8, out: share of the step at the crossing, 0 to 1; nan without a crossing
    direction  (P, W) i1, out: 1 from left to right of the line (looking along it, y down), -1 back, 0 no crossing

    A point on the line counts as right of it: a step that ends there crosses, and the next step does not cross again.
    The crossing time is the same share of the time between the two frames. This assumes straight and uniform motion
    for one step only.
    """
    for row in range(stride[0], len(from_px), stride[1]):
        fraction[row], direction[row] = np.nan, 0
        begin = segments.first[group[row]]
        x0, y0 = from_px[row]
        x1, y1 = to_px[row]
        for line in range(begin, segments.first[group[row] + 1]):
            ax, ay, bx, by = segments.end_px[line]
            before, after = _orientation(ax, ay, bx, by, x0, y0), _orientation(ax, ay, bx, by, x1, y1)
            if np.isnan(before) or np.isnan(after) or (before >= 0) == (after >= 0):
                continue
            along_a, along_b = _orientation(x0, y0, x1, y1, ax, ay), _orientation(x0, y0, x1, y1, bx, by)
            if (along_a >= 0) != (along_b >= 0):
                fraction[row, line - begin] = before / (before - after)
                direction[row, line - begin] = 1 if after >= 0 else -1


@njit(cache=True, nogil=True)
def _start(stop: Any, time_s: float, x_m: float, y_m: float, counts: bool) -> None:
    """Start a stop at a position."""
    stop.smooth_x_m, stop.smooth_y_m = x_m, y_m
    stop.mean_x_m, stop.mean_y_m = x_m, y_m
    stop.since_s, stop.seen_s, stop.away_since_s = time_s, time_s, np.nan
    stop.rows, stop.inside = 1, 1 if counts else 0


@njit(cache=True, nogil=True)
def _is_in_gate(stop: Any, x_m: float, y_m: float, radius_m: float) -> bool:
    """True if the sighting can belong to the stop."""
    distance_m = np.hypot(x_m - stop.smooth_x_m, y_m - stop.smooth_y_m)
    return bool(stop.rows > 0 and distance_m <= GATE * radius_m)


@njit(cache=True, nogil=True)
def _update(stop: Any, time_s: float, x_m: float, y_m: float, counts: bool, radius_m: float) -> None:
    """Add a sighting to the stop; start a new one if the smoothed position has left the mean position."""
    gain = 1.0 - np.exp(-min(time_s - stop.seen_s, MAX_STEP_S) / SMOOTHING_S)
    stop.smooth_x_m += gain * (x_m - stop.smooth_x_m)
    stop.smooth_y_m += gain * (y_m - stop.smooth_y_m)
    if np.hypot(stop.smooth_x_m - stop.mean_x_m, stop.smooth_y_m - stop.mean_y_m) > radius_m:
        _start(stop, time_s, stop.smooth_x_m, stop.smooth_y_m, counts)
        return
    stop.rows += 1
    stop.inside += 1 if counts else 0
    stop.mean_x_m += (stop.smooth_x_m - stop.mean_x_m) / stop.rows
    stop.mean_y_m += (stop.smooth_y_m - stop.mean_y_m) / stop.rows
    stop.seen_s, stop.away_since_s = time_s, np.nan


@njit(cache=True, nogil=True)
def dwell(captured_s: Floats, position_m: Floats, counts: Flags, radius_m: float, stops: Any) -> None:
    """Follow where a vehicle stands, and since when, over its next sightings.

    captured_s  (P,) f8: ascending, not before the sightings of the previous call
    position_m  (P, 2) f8: on the ground; a row with a nan is skipped
    counts      (P,) bool: the sighting is inside the watched zone
    radius_m    the vehicle stands while its smoothed position stays this near to its mean position
    stops       (2,) STOP, in place, zeros for a new vehicle: the current stop and a candidate for the next one. The
                vehicle has stood for seen_s - since_s of the current stop.

    A false box, or a foot point hidden for less than RELOCATE_AFTER_S, does not end a stop. A vehicle that creeps
    farther than about 2 `radius_m` does.
    """
    current, candidate = stops[0], stops[1]
    for row in range(len(captured_s)):
        time_s, x_m, y_m = captured_s[row], position_m[row, 0], position_m[row, 1]
        if np.isnan(x_m) or np.isnan(y_m):
            continue
        if current.rows == 0 or time_s - current.seen_s > MAX_GAP_S:
            _start(current, time_s, x_m, y_m, counts[row])
            candidate.rows = 0
        elif _is_in_gate(current, x_m, y_m, radius_m):
            _update(current, time_s, x_m, y_m, counts[row], radius_m)
            candidate.rows = 0
        else:
            if _is_in_gate(candidate, x_m, y_m, radius_m):
                _update(candidate, time_s, x_m, y_m, counts[row], radius_m)
            else:
                _start(candidate, time_s, x_m, y_m, counts[row])
            if np.isnan(current.away_since_s):
                current.away_since_s = time_s
            if time_s - current.away_since_s > RELOCATE_AFTER_S:
                stops[0] = stops[1]
                candidate.rows = 0
