"""Overlap of boxes: intersection over union, non-maximum suppression, and occlusion.

Boxes are left, top, right, bottom. Suppression is greedy, best score first (Felzenszwalb et al. 2010, PAMI 32(9), 4).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kernels import Flags, Floats, Floats32, Ints32


class SuppressionLimits(NamedTuple):
    """The overlap above which two boxes show the same vehicle."""

    iou: float
    """Limit of the intersection over union."""
    ios: float
    """Limit of the intersection over the smaller box, for boxes from different regions: regions have different scales,
    so the boxes of one vehicle differ in position and size."""


@njit(cache=True, nogil=True)
def area(box: Floats32) -> float:
    """Area of one box (4,) f4."""
    return float((box[2] - box[0]) * (box[3] - box[1]))


@njit(cache=True, nogil=True)
def intersection(a: Floats32, b: Floats32) -> float:
    """Area that two boxes (4,) f4 share; 0 if a coordinate is nan."""
    if not (a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]):
        return 0.0
    return float((min(a[2], b[2]) - max(a[0], b[0])) * (min(a[3], b[3]) - max(a[1], b[1])))


@njit(cache=True, nogil=True)
def iou(first: Floats32, second: Floats32, out: Floats32) -> None:
    """Intersection over union of all pairs: boxes `first` (N, 4) f4, `second` (M, 4) f4, `out` (N, M) f4."""
    for n in range(first.shape[0]):
        for m in range(second.shape[0]):
            shared = intersection(first[n], second[m])
            out[n, m] = shared / (area(first[n]) + area(second[m]) - shared) if shared > 0 else 0.0


@njit(cache=True, nogil=True)
def suppress(
    frame: Ints32, region: Ints32, category: Ints32, xyxy: Floats32, limits: SuppressionLimits, keep: Flags
) -> None:
    """Drop every box that overlaps a better box of the same frame and category too much.

    frame     (K,) i4: ascending; the boxes of a frame by descending score
    region    (K,) i4: the region of the frame in which the box was found
    category  (K,) i4: boxes of different categories do not suppress each other
    xyxy      (K, 4) f4: pixels
    keep      (K,) bool, in place: boxes that are false already are ignored
    """
    for box in range(frame.shape[0]):
        other = box - 1
        while keep[box] and other >= 0 and frame[other] == frame[box]:
            if keep[other] and category[other] == category[box]:
                ios = limits.ios if region[other] != region[box] else np.inf
                keep[box] = not _is_same(xyxy[box], xyxy[other], limits.iou, ios)
            other -= 1


@njit(cache=True, nogil=True)
def _is_same(a: Floats32, b: Floats32, iou: float, ios: float) -> bool:
    """True if the boxes share more than `iou` of their union or more than `ios` of the smaller box."""
    shared, of_a, of_b = intersection(a, b), area(a), area(b)
    return shared > iou * (of_a + of_b - shared) or shared > ios * min(of_a, of_b)


@njit(cache=True, nogil=True)
def occluded_share(frame: Ints32, xyxy_px: Floats32, out: Floats) -> None:
    """Share of every box that a nearer box covers. Of two overlapping boxes, the one with the lower bottom is nearer.

    frame    (T,) i4: frame of a box, ascending; only boxes of the same frame occlude each other
    xyxy_px  (T, 4) f4: of positive area
    out      (T,) f8, out: the largest share of the box's area that one nearer box covers, 0 to 1
    """
    first = 0
    for i in range(len(frame)):
        if frame[i] != frame[first]:
            first = i
        out[i] = 0.0
        for j in range(first, i):
            shared = intersection(xyxy_px[i], xyxy_px[j])
            if shared > 0.0:
                behind = i if xyxy_px[i, 3] < xyxy_px[j, 3] else j
                out[behind] = max(out[behind], shared / area(xyxy_px[behind]))
