"""Twin of `kernels.outline`: a track at a time, with a sort."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from kernels.outline import FEWEST, NARROW, SLENDER, Flags, Floats, Ints


def swollen(
    offset: Ints,
    position_m: Floats,
    bearing_rad: Floats,
    width_m: Floats,
    usable: Flags,
    widest: float,
    out: Flags,
) -> None:
    """Twin of `kernels.outline.swollen`."""
    out[:] = False
    for begin, end in pairwise(offset):
        rows = np.arange(begin, end)[usable[begin:end]]
        if len(rows) < FEWEST or np.isnan(bearing_rad[rows[0]]):
            continue
        dx, dy = position_m[rows[-1]] - position_m[rows[0]]
        angle = np.arctan2(dy, dx) - bearing_rad[rows]
        end_on_m = width_m[rows] / (np.abs(np.cos(angle)) + SLENDER * np.abs(np.sin(angle)))
        out[rows] = end_on_m > widest * np.sort(end_on_m)[int(NARROW * len(rows))]
