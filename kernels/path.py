"""The path of a vehicle: running median, simplification to corner points, and the largest drop of its progress."""

from __future__ import annotations

import numpy as np
from numba import njit

from kernels import Floats, Ints


@njit(cache=True, nogil=True)
def simplify(position_m: Floats, tolerance_m: Floats, out: Ints) -> int:
    """Simplify a path by radial distance: the polyline through the kept rows is the path without its jitter.

    position_m   (P, 2) f8: on the ground; a row with a nan is skipped
    tolerance_m  (P,) f8: a row is kept if it is at least this far from the last kept row
    out          (P,) i8, out: numbers of the kept rows, ascending; the first row with a position is always kept

    Returns the number of kept rows.
    """
    count = 0
    for row in range(len(position_m)):
        x, y = position_m[row]
        if np.isnan(x) or np.isnan(y):
            continue
        if count > 0:
            before = position_m[out[count - 1]]
            if not np.hypot(x - before[0], y - before[1]) >= tolerance_m[row]:
                continue
        out[count] = row
        count += 1
    return count


@njit(cache=True, nogil=True)
def _median(values: Floats, begin: int, end: int, column: int) -> float:
    """Median of an odd number of rows: the value with at most half of the others on either side."""
    half = (end - begin) // 2
    for row in range(begin, end):
        below, above = 0, 0
        for other in range(begin, end):
            below += values[other, column] < values[row, column]
            above += values[other, column] > values[row, column]
        if below <= half and above <= half:
            return float(values[row, column])
    return np.nan


@njit(cache=True, nogil=True)
def running_median(values: Floats, half: int, out: Floats) -> None:
    """Replace every value by the median of its neighbours: removes outliers and keeps a uniform motion.

    values  (P, K) f8, without nan; each column by itself
    half    number of neighbours on either side; at the ends, the number on the shorter side
    out     (P, K) f8, out
    """
    rows = len(values)
    for row in range(rows):
        reach = min(half, row, rows - 1 - row)
        for column in range(values.shape[1]):
            out[row, column] = _median(values, row - reach, row + reach + 1, column)


@njit(cache=True, nogil=True)
def largest_drop(along_m: Floats) -> tuple[int, int]:
    """Rows i < j with the largest drop along_m[i] - along_m[j]; the earliest of equal drops.

    along_m   (P,) f8: progress along the legal direction; rows with a nan are skipped

    Returns (-1, -1) if the progress never drops. One pass, like Kadane's maximum subarray (Bentley 1984).
    """
    highest, first, last, drop = -1, -1, -1, 0.0
    for row in range(len(along_m)):
        if np.isnan(along_m[row]):
            continue
        if highest < 0 or along_m[row] >= along_m[highest]:
            highest = row
        elif along_m[highest] - along_m[row] > drop:
            first, last, drop = highest, row, along_m[highest] - along_m[row]
    return first, last
