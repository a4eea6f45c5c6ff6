"""NumPy twin of `kernels.zones`."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.zones import (
    LONGEST_GAP_S,
    LONGEST_STEP_S,
    PATIENCE_S,
    REACH,
    SMOOTH_S,
    Flags,
    Floats,
    Ints32,
    Polygons,
    Segments,
    Signs,
)


def inside(point_px: Floats, group: Ints32, polygons: Polygons, out: Flags) -> None:
    """Which polygons of its group does every point lie in?"""
    out[:] = False
    for row, (x, y) in enumerate(point_px):
        begin, end = polygons.first[group[row]], polygons.first[group[row] + 1]
        for column, zone in enumerate(range(begin, end)):
            corners = polygons.corner_px[polygons.first_corner[zone] : polygons.first_corner[zone + 1]]
            before = np.roll(corners, 1, axis=0)
            straddles = (before[:, 1] > y) != (corners[:, 1] > y)
            (x0, y0), (x1, y1) = before[straddles].T, corners[straddles].T
            out[row, column] = np.count_nonzero(x < (x1 - x0) * (y - y0) / (y1 - y0) + x0) % 2 == 1


def _turn(a: Floats, b: Floats, point: Floats) -> float:
    return float((b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0]))


def crossed(
    from_px: Floats, to_px: Floats, group: Ints32, segments: Segments, fraction: Floats, direction: Signs
) -> None:
    """Where on its step from one sighting to the next does a vehicle cross the lines of its group?"""
    fraction[:], direction[:] = np.nan, 0
    for row, (start, end) in enumerate(zip(from_px, to_px, strict=True)):
        if np.isnan(start).any() or np.isnan(end).any():
            continue
        lines = segments.end_px[segments.first[group[row]] : segments.first[group[row] + 1]]
        for column, line in enumerate(lines):
            before, after = _turn(line[:2], line[2:], start), _turn(line[:2], line[2:], end)
            ends = [_turn(start, end, line[:2]) >= 0, _turn(start, end, line[2:]) >= 0]
            if (before >= 0) != (after >= 0) and ends[0] != ends[1]:
                fraction[row, column] = before / (before - after)
                direction[row, column] = 1 if after >= 0 else -1


def _begin(stand: Any, time_s: float, point: Floats, counts: bool) -> None:
    stand["smooth_x_m"], stand["smooth_y_m"] = stand["anchor_x_m"], stand["anchor_y_m"] = point
    stand["since_s"] = stand["seen_s"] = time_s
    stand["astray_s"], stand["rows"], stand["inside"] = np.nan, 1, int(counts)


def _near(stand: Any, point: Floats, still_m: float) -> bool:
    smooth = np.array([stand["smooth_x_m"], stand["smooth_y_m"]])
    return bool(stand["rows"] > 0 and np.hypot(*(point - smooth)) <= REACH * still_m)


def _settle(stand: Any, time_s: float, point: Floats, counts: bool, still_m: float) -> None:
    smooth = np.array([stand["smooth_x_m"], stand["smooth_y_m"]])
    anchor = np.array([stand["anchor_x_m"], stand["anchor_y_m"]])
    smooth += (1.0 - np.exp(-min(time_s - stand["seen_s"], LONGEST_STEP_S) / SMOOTH_S)) * (point - smooth)
    if np.hypot(*(smooth - anchor)) > still_m:
        _begin(stand, time_s, smooth, counts)
        return
    stand["rows"] += 1
    stand["inside"] += int(counts)
    anchor += (smooth - anchor) / stand["rows"]
    stand["smooth_x_m"], stand["smooth_y_m"] = smooth
    stand["anchor_x_m"], stand["anchor_y_m"] = anchor
    stand["seen_s"], stand["astray_s"] = time_s, np.nan


def dwell(captured_s: Floats, position_m: Floats, counts: Flags, still_m: float, stand: Any) -> None:
    """Follow where a vehicle stands, and since when, over its next sightings."""
    here, there = stand[0], stand[1]
    for time_s, point, counted in zip(captured_s, position_m, counts, strict=True):
        if np.isnan(point).any():
            continue
        if here["rows"] == 0 or time_s - here["seen_s"] > LONGEST_GAP_S:
            _begin(here, time_s, point, counted)
            there["rows"] = 0
        elif _near(here, point, still_m):
            _settle(here, time_s, point, counted, still_m)
            there["rows"] = 0
        else:
            if _near(there, point, still_m):
                _settle(there, time_s, point, counted, still_m)
            else:
                _begin(there, time_s, point, counted)
            if np.isnan(here["astray_s"]):
                here["astray_s"] = time_s
            if time_s - here["astray_s"] > PATIENCE_S:
                stand[0] = stand[1]
                there["rows"] = 0


def running_median(values: Floats, half: int, out: Floats) -> None:
    """Replace every value by the median of its neighbourhood: a wild value does not move it, an even motion is kept."""
    for row in range(len(values)):
        reach = min(half, row, len(values) - 1 - row)
        out[row] = np.median(values[row - reach : row + reach + 1], axis=0)


def retreat(along_m: Floats) -> tuple[int, int]:
    """The greatest fall of a progress: rows i < j with the largest along_m[i] - along_m[j], the earliest of equals."""
    known = np.flatnonzero(~np.isnan(along_m))
    if not len(known):
        return -1, -1
    values = along_m[known]
    fall = np.maximum.accumulate(values) - values
    last = int(np.argmax(fall))
    if fall[last] <= 0:
        return -1, -1
    highest = values[: last + 1].max()
    first = int(np.flatnonzero(values[: last + 1] == highest)[-1])
    return int(known[first]), int(known[last])
