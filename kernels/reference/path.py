"""Twin of `kernels.path`."""

from __future__ import annotations

import numpy as np

from kernels import Floats, Ints


def simplify(position_m: Floats, tolerance_m: Floats, out: Ints) -> int:
    """Twin of `kernels.path.simplify`."""
    known = np.flatnonzero(~np.isnan(position_m).any(axis=1))
    kept: list[int] = []
    while len(known):
        kept.append(int(known[0]))
        away = np.hypot(*(position_m[known] - position_m[known[0]]).T) >= tolerance_m[known]
        away[0] = False
        known = known[np.argmax(away) :] if away.any() else known[:0]
    out[: len(kept)] = kept
    return len(kept)


def running_median(values: Floats, half: int, out: Floats) -> None:
    """Twin of `kernels.path.running_median`."""
    for row in range(len(values)):
        reach = min(half, row, len(values) - 1 - row)
        out[row] = np.median(values[row - reach : row + reach + 1], axis=0)


def largest_drop(along_m: Floats) -> tuple[int, int]:
    """Twin of `kernels.path.largest_drop`."""
    known = np.flatnonzero(~np.isnan(along_m))
    if not len(known):
        return -1, -1
    values = along_m[known]
    drop = np.maximum.accumulate(values) - values
    last = int(np.argmax(drop))
    if drop[last] <= 0:
        return -1, -1
    highest = values[: last + 1].max()
    first = int(np.flatnonzero(values[: last + 1] == highest)[-1])
    return int(known[first]), int(known[last])
