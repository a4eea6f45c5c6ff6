"""Relinking: finds the track that continues a moving vehicle whose track broke, so that both count as one vehicle."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from engine.rules.track_history import TrackHistory
from engine.types import Floats

LONGEST_GAP_S = 2.5
"""A tracker ends a lost track after about a second, and confirms a new one after a few sightings."""
RECENT_S = 0.4
"""The velocity is taken over at least this time before the end of the track."""
GATE_M = 5.0
"""Largest distance from the expected position, plus `GATE_SHARE` of the expected displacement."""
GATE_SHARE = 0.5


def predecessor(first: Any, histories: Iterable[TrackHistory]) -> TrackHistory | None:
    """The history that a new track continues: it ended before the track began, heading for where the track began.

    first       the new track's first sighting, one row of `track_history.row_dtype`
    histories   candidates; one that goes on itself, or has a successor, is not considered
    """
    ahead = [(_miss(first, history), history.track, history) for history in histories if not history.succeeded]
    _, _, nearest = min((one for one in ahead if one[0] <= 1.0), default=(0.0, 0, None), key=lambda one: one[:2])
    return nearest


def _miss(first: Any, history: TrackHistory) -> float:
    """Distance from the expected position to where the new track began, in units of the gate; inf if out of time."""
    last = history.rows[-1]
    gap_s = float(first["captured_s"] - last["captured_s"])
    if not 0 < gap_s <= LONGEST_GAP_S:
        return float("inf")
    moved_m = _velocity_mps(history) * gap_s
    miss = np.hypot(*(first["position_m"] - last["position_m"] - moved_m))
    return float(np.nan_to_num(miss / (GATE_M + GATE_SHARE * np.hypot(*moved_m)), nan=np.inf))


def _velocity_mps(history: TrackHistory) -> Floats:
    """(2,) m/s over the last sightings; zero if there is only one."""
    times, position_m = history.rows["captured_s"], history.rows["position_m"]
    before = max(0, int(np.searchsorted(times, times[-1] - RECENT_S, "right")) - 1)
    lasted_s = times[-1] - times[before]
    return np.asarray((position_m[-1] - position_m[before]) / lasted_s if lasted_s > 0 else np.zeros(2))
