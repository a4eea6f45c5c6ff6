"""Which boxes hide which: of two boxes that overlap, the one whose lower edge is lower in the picture stands nearer."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.overlap import area, intersection

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints32 = NDArray[np.int32]


@njit(cache=True, nogil=True)
def hidden_share(frame: Ints32, xyxy_px: Floats32, out: Floats) -> None:
    """How much of every box another box covers that stands nearer.

    frame    (T,) i4: frame of a box, ascending; only boxes of the same frame cover each other
    xyxy_px  (T, 4) f4: left, top, right, bottom, of positive area
    out      (T,) f8, out: the largest share of the box's area that one nearer box covers, 0 to 1
    """
    first = 0
    for i in range(len(frame)):
        if frame[i] != frame[first]:
            first = i
        out[i] = 0.0
        for j in range(first, i):
            common = intersection(xyxy_px[i], xyxy_px[j])
            if common > 0.0:
                behind = i if xyxy_px[i, 3] < xyxy_px[j, 3] else j
                out[behind] = max(out[behind], common / area(xyxy_px[behind]))
