"""Which sightings go with an offence: few enough to store, enough to find the vehicle at every instant of proof."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.rules.track_history import Rows, sighting
from engine.types import Sighting

MOST_SIGHTINGS = 24


def chosen(rows: Rows, instants_s: Sequence[float], earlier: tuple[Sighting, ...] = ()) -> tuple[Sighting, ...]:
    """At most `MOST_SIGHTINGS`, ascending: those on both sides of every instant, the rest evenly over the offence.

    rows      (P,) at least one sighting around the offence
    earlier   sightings of the same vehicle from before all of them
    """
    after = np.searchsorted(rows["captured_s"], instants_s, "left")
    needed = np.unique(np.concatenate([after - 1, after]).clip(0, len(rows) - 1))
    spare = MOST_SIGHTINGS - len(needed) - len(earlier)
    even = np.linspace(0, len(rows) - 1, max(spare, 0)).round().astype(np.int64)
    return (*earlier, *(sighting(row) for row in rows[np.union1d(needed, even)]))
