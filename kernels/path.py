"""The shape of a way on the road: corner points far enough apart that noise neither lengthens nor turns it."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@njit(cache=True, nogil=True)
def anchors(position_m: Floats, apart_m: Floats, out: Ints) -> int:
    """Thin a way out to rows that lie apart: the polyline over them is the way without its jitter.

    position_m  (P, 2) f8, on the ground; a row with a nan is passed over
    apart_m     (P,) f8: a row is the next anchor when it is this far from the one before
    out         (P,) i8: row numbers, ascending; the first row with a place always is one

    Returns how many anchors there are.
    """
    count = 0
    for row in range(len(position_m)):
        x, y = position_m[row]
        if np.isnan(x) or np.isnan(y):
            continue
        if count > 0:
            before = position_m[out[count - 1]]
            if not np.hypot(x - before[0], y - before[1]) >= apart_m[row]:
                continue
        out[count] = row
        count += 1
    return count
