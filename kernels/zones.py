"""Where vehicles are and when: inside which zones, across which lines at which instant, standing since when.

Areas and lines lie in the image. Those of several sites share one table and are grouped, so that a whole batch of
cameras is answered in one call and no camera's answer depends on the others.

`inside_some` and `crossed_some` do each `step`-th row from `first` on: here all of them, in `kernels.cuda` those of one
thread (see `kernels.ground`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.ground import ALL, Stride

Floats = NDArray[np.float64]
Ints32 = NDArray[np.int32]
Signs = NDArray[np.int8]
Flags = NDArray[np.bool_]

SMOOTH_S = 1.0
"""Time constant of the smoothing that takes the detector's jitter out of a position."""
LONGEST_STEP_S = 0.5
"""A gap is smoothed over as if it were this long, so that the first sighting after it does not count for everything."""
REACH = 4.0
"""A sighting farther than this many `still_m` from where the vehicle stands is first taken for a false one."""
PATIENCE_S = 3.0
"""Sightings elsewhere for longer than this are believed: the vehicle does not stand there any more."""
LONGEST_GAP_S = 30.0
"""After a longer gap nobody knows whether the vehicle stayed: standing begins anew."""

STAND = np.dtype(
    [
        ("smooth_x_m", np.float64),
        ("smooth_y_m", np.float64),
        ("anchor_x_m", np.float64),
        ("anchor_y_m", np.float64),
        ("since_s", np.float64),
        ("seen_s", np.float64),
        ("astray_s", np.float64),
        ("rows", np.int64),
        ("inside", np.int64),
    ]
)
"""One place where a vehicle seems to stand: smoothed position, mean position since it stands, since when, last seen
there, since when it is seen elsewhere (nan: it is not), sightings there, how many of these inside the zone."""


class Polygons(NamedTuple):
    """Closed polygons of all groups, corner by corner."""

    corner_px: Floats
    """(C, 2) f8"""
    first_corner: Ints32
    """(Z + 1,) i4: polygon z has the corners first_corner[z] to first_corner[z + 1]."""
    first: Ints32
    """(G + 1,) i4: group g has the polygons first[g] to first[g + 1]."""


class Segments(NamedTuple):
    """Straight lines of all groups, from their first point to their second."""

    end_px: Floats
    """(L, 4) f8: x, y of the first point, x, y of the second."""
    first: Ints32
    """(G + 1,) i4: group g has the lines first[g] to first[g + 1]."""


@njit(cache=True, nogil=True)
def _holds(polygons: Polygons, zone: int, x: float, y: float) -> bool:
    """Even-odd rule with half-open edges: a point on a border that two polygons share is in exactly one of them."""
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
def inside_some(stride: Stride, point_px: Floats, group: Ints32, polygons: Polygons, out: Flags) -> None:
    """`inside` of some points."""
    for row in range(stride[0], len(point_px), stride[1]):
        out[row] = False
        begin = polygons.first[group[row]]
        for zone in range(begin, polygons.first[group[row] + 1]):
            out[row, zone - begin] = _holds(polygons, zone, point_px[row, 0], point_px[row, 1])


@njit(cache=True, nogil=True)
def inside(point_px: Floats, group: Ints32, polygons: Polygons, out: Flags) -> None:
    """Which polygons of its group does every point lie in?

    point_px   (P, 2) f8, image pixels; a nan lies nowhere
    group      (P,) i4
    out        (P, W) bool: column k is the group's k-th polygon; W at least the most polygons of a group; the
               columns beyond a group's own come back False

    Crossing number test (Shimrat 1962, Algorithm 112), even-odd for polygons that cross themselves.
    """
    inside_some(ALL, point_px, group, polygons, out)


@njit(cache=True, nogil=True)
def _turn(ax: float, ay: float, bx: float, by: float, x: float, y: float) -> float:
    """Twice the area of a, b, point: positive right of the way from a to b, in axes whose y points down."""
    return (bx - ax) * (y - ay) - (by - ay) * (x - ax)


@njit(cache=True, nogil=True)
def crossed_some(
    stride: Stride,
    from_px: Floats,
    to_px: Floats,
    group: Ints32,
    segments: Segments,
    fraction: Floats,
    direction: Signs,
) -> None:
    """`crossed` of some steps."""
    for row in range(stride[0], len(from_px), stride[1]):
        fraction[row], direction[row] = np.nan, 0
        begin = segments.first[group[row]]
        x0, y0 = from_px[row]
        x1, y1 = to_px[row]
        for line in range(begin, segments.first[group[row] + 1]):
            ax, ay, bx, by = segments.end_px[line]
            before, after = _turn(ax, ay, bx, by, x0, y0), _turn(ax, ay, bx, by, x1, y1)
            if np.isnan(before) or np.isnan(after) or (before >= 0) == (after >= 0):
                continue
            along_a, along_b = _turn(x0, y0, x1, y1, ax, ay), _turn(x0, y0, x1, y1, bx, by)
            if (along_a >= 0) != (along_b >= 0):
                fraction[row, line - begin] = before / (before - after)
                direction[row, line - begin] = 1 if after >= 0 else -1


@njit(cache=True, nogil=True)
def crossed(
    from_px: Floats, to_px: Floats, group: Ints32, segments: Segments, fraction: Floats, direction: Signs
) -> None:
    """Where on its step from one sighting to the next does a vehicle cross the lines of its group?

    from_px    (P, 2) f8, to_px (P, 2) f8: the step, image pixels; a step with a nan crosses nothing
    group      (P,) i4
    fraction   (P, W) f8: share of the step at the crossing, 0 to 1; nan where there is none
    direction  (P, W) i1: 1 from left to right of the line (looking along it, y down), -1 back, 0 none

    A point on the line counts as right of it, so a step that ends there has crossed and the next one does not again.
    The crossing instant is that share of the time between the two frames: straight and even motion is assumed for
    the length of one step only.
    """
    crossed_some(ALL, from_px, to_px, group, segments, fraction, direction)


@njit(cache=True, nogil=True)
def _begin(stand: Any, time_s: float, x_m: float, y_m: float, counts: bool) -> None:
    """The vehicle seems to stand here from now on."""
    stand.smooth_x_m, stand.smooth_y_m = x_m, y_m
    stand.anchor_x_m, stand.anchor_y_m = x_m, y_m
    stand.since_s, stand.seen_s, stand.astray_s = time_s, time_s, np.nan
    stand.rows, stand.inside = 1, 1 if counts else 0


@njit(cache=True, nogil=True)
def _near(stand: Any, x_m: float, y_m: float, still_m: float) -> bool:
    """Can this sighting be of a vehicle that stands there?"""
    far = np.hypot(x_m - stand.smooth_x_m, y_m - stand.smooth_y_m)
    return bool(stand.rows > 0 and far <= REACH * still_m)


@njit(cache=True, nogil=True)
def _settle(stand: Any, time_s: float, x_m: float, y_m: float, counts: bool, still_m: float) -> None:
    """One more sighting there; begins anew once the smoothed position has left the mean one."""
    gain = 1.0 - np.exp(-min(time_s - stand.seen_s, LONGEST_STEP_S) / SMOOTH_S)
    stand.smooth_x_m += gain * (x_m - stand.smooth_x_m)
    stand.smooth_y_m += gain * (y_m - stand.smooth_y_m)
    if np.hypot(stand.smooth_x_m - stand.anchor_x_m, stand.smooth_y_m - stand.anchor_y_m) > still_m:
        _begin(stand, time_s, stand.smooth_x_m, stand.smooth_y_m, counts)
        return
    stand.rows += 1
    stand.inside += 1 if counts else 0
    stand.anchor_x_m += (stand.smooth_x_m - stand.anchor_x_m) / stand.rows
    stand.anchor_y_m += (stand.smooth_y_m - stand.anchor_y_m) / stand.rows
    stand.seen_s, stand.astray_s = time_s, np.nan


@njit(cache=True, nogil=True)
def dwell(captured_s: Floats, position_m: Floats, counts: Flags, still_m: float, stand: Any) -> None:
    """Follow where a vehicle stands, and since when, over its next sightings.

    captured_s  (P,) f8, ascending, not before the sightings of the call before
    position_m  (P, 2) f8, on the ground; a row with a nan is passed over
    counts      (P,) bool: is the sighting inside the zone that is watched?
    still_m     the vehicle stands as long as its smoothed position stays this near to its mean position
    stand       (2,) of `STAND`, in and out, zeros for a new vehicle: the place where it stands, and the place where it
                is seen instead until that is believed. It has stood for seen_s - since_s.

    One false box, or a foot point that is hidden for less than PATIENCE_S, does not end a stand; a vehicle that creeps
    farther than about twice `still_m` does.
    """
    here, there = stand[0], stand[1]
    for row in range(len(captured_s)):
        time_s, x_m, y_m = captured_s[row], position_m[row, 0], position_m[row, 1]
        if np.isnan(x_m) or np.isnan(y_m):
            continue
        if here.rows == 0 or time_s - here.seen_s > LONGEST_GAP_S:
            _begin(here, time_s, x_m, y_m, counts[row])
            there.rows = 0
        elif _near(here, x_m, y_m, still_m):
            _settle(here, time_s, x_m, y_m, counts[row], still_m)
            there.rows = 0
        else:
            if _near(there, x_m, y_m, still_m):
                _settle(there, time_s, x_m, y_m, counts[row], still_m)
            else:
                _begin(there, time_s, x_m, y_m, counts[row])
            if np.isnan(here.astray_s):
                here.astray_s = time_s
            if time_s - here.astray_s > PATIENCE_S:
                stand[0] = stand[1]
                there.rows = 0


@njit(cache=True, nogil=True)
def _median(values: Floats, begin: int, end: int, column: int) -> float:
    """Median of an odd number of rows: the value that has at most half of the others on either side."""
    most = (end - begin) // 2
    for row in range(begin, end):
        below, above = 0, 0
        for other in range(begin, end):
            below += values[other, column] < values[row, column]
            above += values[other, column] > values[row, column]
        if below <= most and above <= most:
            return float(values[row, column])
    return np.nan


@njit(cache=True, nogil=True)
def running_median(values: Floats, half: int, out: Floats) -> None:
    """Replace every value by the median of its neighbourhood: a wild value does not move it, an even motion is kept.

    values  (P, K) f8, without nan; each column by itself
    half    neighbours on either side; at the ends as many as there are on the shorter side
    out     (P, K) f8
    """
    rows = len(values)
    for row in range(rows):
        reach = min(half, row, rows - 1 - row)
        for column in range(values.shape[1]):
            out[row, column] = _median(values, row - reach, row + reach + 1, column)


@njit(cache=True, nogil=True)
def retreat(along_m: Floats) -> tuple[int, int]:
    """The greatest fall of a progress: rows i < j with the largest along_m[i] - along_m[j], the earliest of equals.

    along_m   (P,) f8, metres of progress along the legal direction; rows with a nan are passed over

    Returns (-1, -1) where the progress never falls. One pass, as Kadane's maximum sum.
    """
    highest, first, last, fall = -1, -1, -1, 0.0
    for row in range(len(along_m)):
        if np.isnan(along_m[row]):
            continue
        if highest < 0 or along_m[row] >= along_m[highest]:
            highest = row
        elif along_m[highest] - along_m[row] > fall:
            first, last, fall = highest, row, along_m[highest] - along_m[row]
    return first, last
