"""Overlap of boxes: intersection over union, and one list out of the duplicates that a network and its regions give.

Boxes are left, top, right, bottom. Suppression is greedy, best score first (Felzenszwalb et al. 2010, PAMI 32(9), 4).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]
Ints32 = NDArray[np.int32]
Flags = NDArray[np.bool_]


@njit(cache=True, nogil=True)
def area(box: Floats32) -> float:
    """Of one box (4,)."""
    return float((box[2] - box[0]) * (box[3] - box[1]))


@njit(cache=True, nogil=True)
def intersection(a: Floats32, b: Floats32) -> float:
    """Area that two boxes (4,) share."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return float(width * height) if width > 0 and height > 0 else 0.0


@njit(cache=True, nogil=True)
def iou(first: Floats32, second: Floats32, out: Floats32) -> None:
    """Intersection over union of every box of `first` (N, 4) with every box of `second` (M, 4); out is (N, M)."""
    for n in range(first.shape[0]):
        for m in range(second.shape[0]):
            shared = intersection(first[n], second[m])
            out[n, m] = shared / (area(first[n]) + area(second[m]) - shared) if shared > 0 else 0.0


@njit(cache=True, nogil=True)
def suppress(frame: Ints32, kind: Ints32, xyxy: Floats32, limit: float, keep: Flags) -> None:
    """Strike out every box that a better one of the same frame and kind overlaps by more than `limit`.

    frame  (K,) ascending; the boxes of a frame best first
    kind   (K,) boxes of different kinds leave each other alone
    xyxy   (K, 4)
    limit  the highest intersection over union that two vehicles may have
    keep   (K,) in and out: boxes that are struck out already are left out of account
    """
    for box in range(frame.shape[0]):
        other = box - 1
        while keep[box] and other >= 0 and frame[other] == frame[box]:
            if keep[other] and kind[other] == kind[box]:
                shared = intersection(xyxy[box], xyxy[other])
                keep[box] = shared <= limit * (area(xyxy[box]) + area(xyxy[other]) - shared)
            other -= 1


@njit(cache=True, nogil=True)
def join_cut(frame: Ints32, kind: Ints32, row: Ints32, cut: Flags, xyxy: Floats32, keep: Flags) -> None:
    """Join what neighbouring regions of a frame show of a vehicle that the regions' inner borders cut.

    Two cut boxes of a frame that come from different regions and of which one lies at least half within the other
    become their union, in the place of the better. A cut box that finds no other half is struck out: where it ends is
    where the region ends and not the vehicle.

    frame, kind, row  (K,) as in `suppress`; row tells the regions apart
    cut               (K,) whether a border of its region cuts the box, one that is no border of the picture
    xyxy              (K, 4) in and out
    keep              (K,) in and out
    """
    for box in range(frame.shape[0]):
        if not (keep[box] and cut[box]):
            continue
        keep[box] = False
        other = box + 1
        while other < frame.shape[0] and frame[other] == frame[box]:
            smaller = min(area(xyxy[box]), area(xyxy[other]))
            partner = keep[other] and cut[other] and kind[other] == kind[box] and row[other] != row[box]
            if partner and 2 * intersection(xyxy[box], xyxy[other]) >= smaller:
                keep[box], keep[other] = True, False
                xyxy[box, :2] = np.minimum(xyxy[box, :2], xyxy[other, :2])
                xyxy[box, 2:] = np.maximum(xyxy[box, 2:], xyxy[other, 2:])
            other += 1
