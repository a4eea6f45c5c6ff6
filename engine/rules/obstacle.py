"""Was there something to go round? Who passes a vehicle that stands may have had to leave his lane."""

from __future__ import annotations

import numpy as np

from engine.rules.evaluator import CameraContext
from engine.rules.path import smoothed
from engine.rules.track_history import TrackHistory
from engine.types import Floats

AROUND_S = 3.0
"""How long before and after the instant a vehicle is looked at."""
FEWEST = 4
STOOD_S = 1.0
"""It must have been seen for this long."""
STANDS_MPS = 1.0
"""Slower than this it stands, or is passed like one that stands."""


def stood_near(scene: CameraContext, passer: TrackHistory, at_s: float, place_m: Floats, within_m: float) -> bool:
    """Did a vehicle stand within a distance of where another one was at an instant?"""
    others = (trail for trail in (*scene.trails.values(), *scene.departed) if trail.track != passer.track)
    return any(_stood(other, at_s, place_m, within_m) for other in others)


def _stood(other: TrackHistory, at_s: float, place_m: Floats, within_m: float) -> bool:
    rows = other.between(at_s - AROUND_S, at_s + AROUND_S)
    rows = rows[np.isfinite(rows["position_m"]).all(axis=1)]
    if len(rows) < FEWEST or rows["captured_s"][-1] - rows["captured_s"][0] < STOOD_S:
        return False
    position_m = smoothed(np.ascontiguousarray(rows["position_m"]))
    moved_m = np.hypot(*(np.median(position_m[-3:], axis=0) - np.median(position_m[:3], axis=0)))
    slow = moved_m < STANDS_MPS * (rows["captured_s"][-1] - rows["captured_s"][0])
    return bool(slow and np.hypot(*(np.median(position_m, axis=0) - place_m)) <= within_m)
