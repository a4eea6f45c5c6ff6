"""NumPy twin of `kernels.path`."""

from __future__ import annotations

import numpy as np

from kernels.path import Floats, Ints


def anchors(position_m: Floats, apart_m: Floats, out: Ints) -> int:
    """Thin a way out to rows that lie apart."""
    known = np.flatnonzero(~np.isnan(position_m).any(axis=1))
    found: list[int] = []
    while len(known):
        found.append(int(known[0]))
        away = np.hypot(*(position_m[known] - position_m[known[0]]).T) >= apart_m[known]
        away[0] = False
        known = known[np.argmax(away) :] if away.any() else known[:0]
    out[: len(found)] = found
    return len(found)
