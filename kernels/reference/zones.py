"""Twin of `kernels.zones`."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels import Flags, Floats, Ints32, Signs
from kernels.zones import GATE, MAX_GAP_S, MAX_STEP_S, RELOCATE_AFTER_S, SMOOTHING_S, Polygons, Segments


def inside(point_px: Floats, group: Ints32, polygons: Polygons, out: Flags) -> None:
    """Twin of `kernels.zones.inside`."""
    out[:] = False
    for row, (x, y) in enumerate(point_px):
        begin, end = polygons.first[group[row]], polygons.first[group[row] + 1]
        for column, zone in enumerate(range(begin, end)):
            corners = polygons.corner_px[polygons.first_corner[zone] : polygons.first_corner[zone + 1]]
            before = np.roll(corners, 1, axis=0)
            straddles = (before[:, 1] > y) != (corners[:, 1] > y)
            (x0, y0), (x1, y1) = before[straddles].T, corners[straddles].T
            out[row, column] = np.count_nonzero(x < (x1 - x0) * (y - y0) / (y1 - y0) + x0) % 2 == 1


def _orientation(a: Floats, b: Floats, point: Floats) -> float:
    return float((b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0]))


def find_crossings(
    from_px: Floats, to_px: Floats, group: Ints32, segments: Segments, fraction: Floats, direction: Signs
) -> None:
    """Twin of `kernels.zones.find_crossings`."""
    fraction[:], direction[:] = np.nan, 0
    for row, (start, end) in enumerate(zip(from_px, to_px, strict=True)):
        if np.isnan(start).any() or np.isnan(end).any():
            continue
        lines = segments.end_px[segments.first[group[row]] : segments.first[group[row] + 1]]
        for column, line in enumerate(lines):
            before, after = _orientation(line[:2], line[2:], start), _orientation(line[:2], line[2:], end)
            ends = [_orientation(start, end, line[:2]) >= 0, _orientation(start, end, line[2:]) >= 0]
            if (before >= 0) != (after >= 0) and ends[0] != ends[1]:
                fraction[row, column] = before / (before - after)
                direction[row, column] = 1 if after >= 0 else -1


def _start(stop: Any, time_s: float, point: Floats, counts: bool) -> None:
    stop["smooth_x_m"], stop["smooth_y_m"] = stop["mean_x_m"], stop["mean_y_m"] = point
    stop["since_s"] = stop["seen_s"] = time_s
    stop["away_since_s"], stop["rows"], stop["inside"] = np.nan, 1, int(counts)


def _is_in_gate(stop: Any, point: Floats, radius_m: float) -> bool:
    smooth = np.array([stop["smooth_x_m"], stop["smooth_y_m"]])
    return bool(stop["rows"] > 0 and np.hypot(*(point - smooth)) <= GATE * radius_m)


def _update(stop: Any, time_s: float, point: Floats, counts: bool, radius_m: float) -> None:
    smooth = np.array([stop["smooth_x_m"], stop["smooth_y_m"]])
    mean = np.array([stop["mean_x_m"], stop["mean_y_m"]])
    smooth += (1.0 - np.exp(-min(time_s - stop["seen_s"], MAX_STEP_S) / SMOOTHING_S)) * (point - smooth)
    if np.hypot(*(smooth - mean)) > radius_m:
        _start(stop, time_s, smooth, counts)
        return
    stop["rows"] += 1
    stop["inside"] += int(counts)
    mean += (smooth - mean) / stop["rows"]
    stop["smooth_x_m"], stop["smooth_y_m"] = smooth
    stop["mean_x_m"], stop["mean_y_m"] = mean
    stop["seen_s"], stop["away_since_s"] = time_s, np.nan


def dwell(captured_s: Floats, position_m: Floats, counts: Flags, radius_m: float, stops: Any) -> None:
    """Twin of `kernels.zones.dwell`."""
    current, candidate = stops[0], stops[1]
    for time_s, point, counted in zip(captured_s, position_m, counts, strict=True):
        if np.isnan(point).any():
            continue
        if current["rows"] == 0 or time_s - current["seen_s"] > MAX_GAP_S:
            _start(current, time_s, point, counted)
            candidate["rows"] = 0
        elif _is_in_gate(current, point, radius_m):
            _update(current, time_s, point, counted, radius_m)
            candidate["rows"] = 0
        else:
            if _is_in_gate(candidate, point, radius_m):
                _update(candidate, time_s, point, counted, radius_m)
            else:
                _start(candidate, time_s, point, counted)
            if np.isnan(current["away_since_s"]):
                current["away_since_s"] = time_s
            if time_s - current["away_since_s"] > RELOCATE_AFTER_S:
                stops[0] = stops[1]
                candidate["rows"] = 0
