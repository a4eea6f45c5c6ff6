"""The other vehicles of a camera: one that stands in the way, and the one ahead on the same path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.rules.evaluator import CameraContext
from engine.rules.path import Path, smoothed
from engine.rules.track_history import Rows, TrackHistory
from engine.types import Floats

AROUND_S = 3.0
"""How long before and after the instant another vehicle is looked at."""
FEWEST = 4
STOOD_S = 1.0
"""It must have been seen for at least this time."""
STANDS_MPS = 1.0
"""A vehicle slower than this stands, or is passed like one that stands."""
HEADING_S = 1.0
"""The heading of a vehicle is taken over this time."""


def stood_near(context: CameraContext, passer: TrackHistory, at_s: float, place_m: Floats, within_m: float) -> bool:
    """True if another vehicle stood within a distance of where `passer` was at an instant: it may have had to pass."""
    return any(_stood(other, at_s, place_m, within_m) for other in context.others(passer))


def _stood(other: TrackHistory, at_s: float, place_m: Floats, within_m: float) -> bool:
    rows = _placed(other.between(at_s - AROUND_S, at_s + AROUND_S))
    if len(rows) < FEWEST or rows["captured_s"][-1] - rows["captured_s"][0] < STOOD_S:
        return False
    position_m = smoothed(np.ascontiguousarray(rows["position_m"]))
    moved_m = np.hypot(*(np.median(position_m[-3:], axis=0) - np.median(position_m[:3], axis=0)))
    slow = moved_m < STANDS_MPS * (rows["captured_s"][-1] - rows["captured_s"][0])
    return bool(slow and np.hypot(*(np.median(position_m, axis=0) - place_m)) <= within_m)


def _placed(rows: Rows) -> Rows:
    """The rows with a position on the ground."""
    return np.asarray(rows[np.isfinite(rows["position_m"]).all(axis=1)])


@dataclass(frozen=True, slots=True)
class VehicleAhead:
    """The nearest vehicle ahead at one instant."""

    history: TrackHistory
    distance_m: float
    """From foot point to foot point along the heading: the gap plus the length of one vehicle."""


def vehicle_ahead(
    context: CameraContext, history: TrackHistory, path: Path, at_s: float, within_m: float = 1.5
) -> VehicleAhead | None:
    """The nearest vehicle ahead at an instant of the path, at most `within_m` to the side of the heading.

    None if there is no such vehicle, or if the heading is unknown.
    """
    velocity_mps = path.velocity_mps(at_s, -HEADING_S, 0.0)
    if velocity_mps is None or not (speed_mps := float(np.hypot(*velocity_mps))):
        return None
    heading, place_m = velocity_mps / speed_mps, _position_at(path.rows, at_s)
    found = []
    for other in context.others(history):
        there_m = _position_at(_placed(other.rows), at_s)
        if place_m is None or there_m is None:
            continue
        away_m = there_m - place_m
        ahead_m, aside_m = float(away_m @ heading), abs(float(heading[0] * away_m[1] - heading[1] * away_m[0]))
        if ahead_m > 0 and aside_m <= within_m:
            found.append(VehicleAhead(other, ahead_m))
    return min(found, key=lambda ahead: ahead.distance_m, default=None)


def _position_at(rows: Rows, at_s: float) -> Floats | None:
    """(2,) f8: smoothed position at an instant, between two sightings; None outside of them."""
    times = rows["captured_s"]
    if not len(rows) or not times[0] <= at_s <= times[-1]:
        return None
    position_m = smoothed(np.ascontiguousarray(rows["position_m"]))
    return np.array([np.interp(at_s, times, position_m[:, axis]) for axis in (0, 1)])
