"""Twin of `kernels.outline`: one track at a time, with a sort."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from kernels import Flags, Floats, Ints
from kernels.outline import LENGTH_TO_WIDTH, MIN_SIGHTINGS, NARROW_QUANTILE


def oversized(
    offset: Ints, position_m: Floats, bearing_rad: Floats, width_m: Floats, usable: Flags, factor: float, out: Flags
) -> None:
    """Twin of `kernels.outline.oversized`."""
    out[:] = False
    for begin, end in pairwise(offset):
        rows = np.arange(begin, end)[usable[begin:end]]
        if len(rows) < MIN_SIGHTINGS or np.isnan(bearing_rad[rows[0]]):
            continue
        dx, dy = position_m[rows[-1]] - position_m[rows[0]]
        angle = np.arctan2(dy, dx) - bearing_rad[rows]
        end_on_m = width_m[rows] / (np.abs(np.cos(angle)) + LENGTH_TO_WIDTH * np.abs(np.sin(angle)))
        out[rows] = end_on_m > factor * np.sort(end_on_m)[int(NARROW_QUANTILE * len(rows))]
