"""Twins of `kernels.speed`: one track after the other, with matrices instead of running sums."""

from __future__ import annotations

import numpy as np

from kernels.reference.ground import deviation
from kernels.reference.line import biweight, drift_of, line_gain, memory, pair_slope, sigma_of_sum
from kernels.speed import COLUMNS, FEWEST, Fits, Flags, Floats, Ints


def fit_speed(
    offset: Ints, t_s: Floats, position_m: Floats, jacobian: Floats, usable: Flags, noise: tuple[float, float]
) -> Fits:
    """Twin of `kernels.speed.fit_speed`."""
    table, gain = np.full((len(offset) - 1, COLUMNS), np.nan), np.zeros(len(t_s))
    for n in range(len(offset) - 1):
        rows = np.arange(offset[n], offset[n + 1])
        rows = rows[usable[rows]]
        if len(rows) >= FEWEST and (np.diff(t_s[rows]) > 0).all():
            table[n], gain[rows] = _fit(t_s[rows], position_m[rows], jacobian[rows], noise)
    return Fits(*table.T, gain)  # type: ignore[call-arg]


def _fit(t: Floats, position_m: Floats, jacobian: Floats, noise: tuple[float, float]) -> tuple[Floats, Floats]:
    """One track: its row of the table, and the gain of its points."""
    start = np.array([pair_slope(t, position_m[:, k]) for k in range(2)])
    speed = np.hypot(*start)
    along = start / speed if speed > 0.0 else np.array([1.0, 0.0])
    across = np.array([-along[1], along[0]])
    sigma = deviation(jacobian, along, noise)
    s, y = (position_m - position_m[0]) @ along, (position_m - position_m[0]) @ across
    slope, scale, weight = biweight(t, s, sigma)
    side = np.polyfit(t, y, 1, w=np.sqrt(weight))
    sway = np.sqrt(np.average((y - np.polyval(side, t)) ** 2, weights=weight))
    heading = np.arctan2(*(along * slope + across * side[0])[::-1])
    used = np.flatnonzero(weight)
    lasting = t[used[-1]] - t[used[0]]
    residual, gain = line_gain(t, s, weight)
    memory_s = memory(t, residual, weight)
    drift, drift_sigma = drift_of(t, residual, sigma, weight, memory_s, scale)
    turn = lasting / slope if slope else np.nan
    row = [
        np.hypot(slope, side[0]),
        scale * sigma_of_sum(t, gain * sigma, memory_s),
        heading,
        drift * turn,
        drift_sigma * abs(turn),
        scale,
        len(used) / len(t),
        memory_s,
        sway,
        t[used[0]],
        t[used[-1]],
        s[used[-1]] - s[used[0]],
        np.diff(t[used]).max(initial=0.0),
    ]
    return np.array(row), gain
