"""Overlap of boxes: intersection over union, and one list out of the duplicates that a network and its regions give.

Boxes are left, top, right, bottom. Suppression is greedy, best score first (Felzenszwalb et al. 2010, PAMI 32(9), 4).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]
Ints32 = NDArray[np.int32]
Flags = NDArray[np.bool_]


class Limits(NamedTuple):
    """How far two vehicles may overlap before they are taken for one."""

    iou: float
    """Intersection over union."""
    across: float
    """Intersection over the smaller box, of boxes from different regions: scaled differently, the same vehicle comes
    out shifted and of another size."""


@njit(cache=True, nogil=True)
def area(box: Floats32) -> float:
    """Of one box (4,)."""
    return float((box[2] - box[0]) * (box[3] - box[1]))


@njit(cache=True, nogil=True)
def intersection(a: Floats32, b: Floats32) -> float:
    """Area that two boxes (4,) share; none with a box that has a nan."""
    if not (a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]):
        return 0.0
    return float((min(a[2], b[2]) - max(a[0], b[0])) * (min(a[3], b[3]) - max(a[1], b[1])))


@njit(cache=True, nogil=True)
def iou(first: Floats32, second: Floats32, out: Floats32) -> None:
    """Intersection over union of every box of `first` (N, 4) with every box of `second` (M, 4); out is (N, M)."""
    for n in range(first.shape[0]):
        for m in range(second.shape[0]):
            shared = intersection(first[n], second[m])
            out[n, m] = shared / (area(first[n]) + area(second[m]) - shared) if shared > 0 else 0.0


@njit(cache=True, nogil=True)
def suppress(frame: Ints32, row: Ints32, kind: Ints32, xyxy: Floats32, limits: Limits, keep: Flags) -> None:
    """Strike out every box that a better one of the same frame and kind shows already.

    frame  (K,) ascending; the boxes of a frame best first
    row    (K,) the region of the frame that the box was found in
    kind   (K,) boxes of different kinds leave each other alone
    xyxy   (K, 4)
    keep   (K,) in and out: boxes that are struck out already are left out of account
    """
    for box in range(frame.shape[0]):
        other = box - 1
        while keep[box] and other >= 0 and frame[other] == frame[box]:
            if keep[other] and kind[other] == kind[box]:
                share = limits.across if row[other] != row[box] else np.inf
                keep[box] = not _same(xyxy[box], xyxy[other], limits.iou, share)
            other -= 1


@njit(cache=True, nogil=True)
def _same(a: Floats32, b: Floats32, limit: float, share: float) -> bool:
    """Whether the boxes overlap by more than `limit` of their union or `share` of the smaller one."""
    shared, of_a, of_b = intersection(a, b), area(a), area(b)
    return shared > limit * (of_a + of_b - shared) or shared > share * min(of_a, of_b)
