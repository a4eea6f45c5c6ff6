"""A vehicle in motion whose track broke, and the track that goes on with it: what was told of one was told of both."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from engine.rules.track_history import TrackHistory
from engine.types import Floats

LONGEST_GAP_S = 2.5
"""A tracker gives a vehicle up after a second or so, and believes a new one after a few sightings."""
RECENT_S = 0.4
"""The velocity is that of the last sightings over at least this long."""
GATE_M = 5.0
"""How far from where it was to be expected the vehicle may be, and this share of the way expected besides."""
GATE_SHARE = 0.5


def predecessor(first: Any, trails: Iterable[TrackHistory]) -> TrackHistory | None:
    """The trail that a new track goes on with: gone when it began, and heading for where it began.

    first    the new track's first sighting, one row of `trail.row_dtype`
    trails   those that may have broken off; one that goes on elsewhere, or has a successor, is none
    """
    ahead = [(_miss(first, trail), trail.track, trail) for trail in trails if not trail.succeeded]
    _, _, nearest = min((one for one in ahead if one[0] <= 1.0), default=(0.0, 0, None), key=lambda one: one[:2])
    return nearest


def _miss(first: Any, trail: TrackHistory) -> float:
    """Distance from where the trail led to where the new track began, in units of the gate; inf if not in time."""
    last = trail.rows[-1]
    gap_s = float(first["captured_s"] - last["captured_s"])
    if not 0 < gap_s <= LONGEST_GAP_S:
        return float("inf")
    way = _velocity(trail) * gap_s
    miss = np.hypot(*(first["position_m"] - last["position_m"] - way))
    return float(np.nan_to_num(miss / (GATE_M + GATE_SHARE * np.hypot(*way)), nan=np.inf))


def _velocity(trail: TrackHistory) -> Floats:
    """(2,) m/s over the last sightings; zero while there is but one."""
    times, position_m = trail.rows["captured_s"], trail.rows["position_m"]
    before = max(0, int(np.searchsorted(times, times[-1] - RECENT_S, "right")) - 1)
    lasted_s = times[-1] - times[before]
    return np.asarray((position_m[-1] - position_m[before]) / lasted_s if lasted_s > 0 else np.zeros(2))
