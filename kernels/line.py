"""A robust straight line over time, the correlation of its residuals, and the variance of what sums them.

Iteratively re-weighted least squares with Tukey's biweight (Holland and Welsch 1977; tuning constant 4.685, 95 %
efficient on Gaussian noise), the residuals' median absolute deviation as scale, from a start that wild points cannot
move. Residuals are taken to be correlated exponentially in time, AR(1) for equal steps, estimated at lag one with the
small-sample bias of a fitted trend taken out (Kendall 1954; Marriott and Pope 1954).

All arrays are (n,) f8: times t, values z or s, expected deviations sigma, weights; `scratch` is working memory as long.
"""

from __future__ import annotations

from math import exp, log

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TUKEY = 4.685
ITERATIONS = 25
SETTLED = 1e-7
MAD_TO_SIGMA = 1.4826
SMALLEST_SCALE = 1e-3


@njit(cache=True, nogil=True)
def part(values: Floats, place: int) -> None:
    """Reorder so that no value before `place` is larger than the one there, and none behind it smaller.

    Hoare's FIND (1961, Algorithm 65): no memory of its own, in linear time on average.
    """
    low, high = 0, len(values) - 1
    while low < high:
        pivot, i, j = values[place], low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i, j = i + 1, j - 1
        low = i if j < place else low
        high = j if place < i else high


@njit(cache=True, nogil=True)
def median(scratch: Floats) -> float:
    """Median of an array that may be put in another order."""
    half = len(scratch) // 2
    part(scratch, half)
    below = scratch[half]
    if len(scratch) % 2 == 0:
        below = scratch[0]
        for i in range(1, half):
            below = max(below, scratch[i])
    return float(0.5 * (below + scratch[half]))


@njit(cache=True, nogil=True)
def pair_slope(t: Floats, z: Floats, scratch: Floats) -> float:
    """Median slope of the pairs that lie half the track apart: a start that a third of wild points cannot move."""
    half = len(t) // 2
    for i in range(len(t) - half):
        scratch[i] = (z[i + half] - z[i]) / (t[i + half] - t[i])
    return median(scratch[: len(t) - half])


@njit(cache=True, nogil=True)
def weighted_line(t: Floats, z: Floats, weight: Floats) -> tuple[float, float, float, float]:
    """Weighted least squares: mean time, mean z, slope, and the sum of weight (t - mean)^2."""
    total, t_sum, z_sum = 0.0, 0.0, 0.0
    for i in range(len(t)):
        total += weight[i]
        t_sum += weight[i] * t[i]
        z_sum += weight[i] * z[i]
    t_mean, z_mean = t_sum / total, z_sum / total
    spread, shared = 0.0, 0.0
    for i in range(len(t)):
        spread += weight[i] * (t[i] - t_mean) ** 2
        shared += weight[i] * (t[i] - t_mean) * (z[i] - z_mean)
    return t_mean, z_mean, shared / spread, spread


@njit(cache=True, nogil=True)
def biweight(t: Floats, s: Floats, sigma: Floats, weight: Floats, scratch: Floats) -> tuple[float, float]:
    """Robust line through (t, s): slope and scale; leaves the final weights (biweight over sigma squared)."""
    slope = pair_slope(t, s, scratch)
    for i in range(len(t)):
        scratch[i] = s[i] - slope * t[i]
    level = median(scratch[: len(t)])
    scale = 0.0
    for _ in range(ITERATIONS):
        for i in range(len(t)):
            scratch[i] = abs(s[i] - level - slope * t[i]) / sigma[i]
        scale = max(MAD_TO_SIGMA * median(scratch[: len(t)]), SMALLEST_SCALE)
        for i in range(len(t)):
            ratio = (s[i] - level - slope * t[i]) / (TUKEY * scale * sigma[i])
            weight[i] = max(0.0, 1.0 - ratio * ratio) ** 2 / (sigma[i] * sigma[i])
        before = slope
        t_mean, s_mean, slope, _spread = weighted_line(t, s, weight)
        level = s_mean - slope * t_mean
        if abs(slope - before) <= SETTLED * abs(slope):
            break
    return slope, scale


@njit(cache=True, nogil=True)
def memory(t: Floats, residual: Floats, weight: Floats) -> float:
    """Correlation time of the residuals, from their correlation at lag one; 0 where they are not alike."""
    shared, power, step, n = 0.0, 0.0, 0.0, 0
    for i in range(len(t) - 1):
        if weight[i] > 0.0 and weight[i + 1] > 0.0:
            shared += residual[i] * residual[i + 1]
            power += 0.5 * (residual[i] ** 2 + residual[i + 1] ** 2)
            step += t[i + 1] - t[i]
            n += 1
    if n < 2 or not power > 0.0:
        return 0.0
    alike = shared / power
    alike = min(alike + (2.0 + 4.0 * alike) / n, 0.98)
    return -(step / n) / log(alike) if alike > 0.01 else 0.0


@njit(cache=True, nogil=True)
def variance(t: Floats, gain: Floats, sigma: Floats, memory_s: float) -> float:
    """Variance of sum gain_i z_i for z of standard deviations sigma and correlation exp(-|dt| / memory)."""
    total, tail = 0.0, 0.0
    for i in range(len(t) - 1, -1, -1):
        own = gain[i] * sigma[i]
        total += own * (own + 2.0 * tail)
        if i > 0:
            tail = (tail + own) * exp(-(t[i] - t[i - 1]) / memory_s) if memory_s > 0.0 else 0.0
    return max(total, 0.0)


@njit(cache=True, nogil=True)
def bend(t: Floats, weight: Floats, gain: Floats) -> float:
    """Turn `gain` from the weights of the slope into those of the half quadratic coefficient (acceleration).

    The quadratic is made orthogonal to the line under the weights, so the residuals of the line give it. Returns the
    weighted power of that quadratic, 0 where the points cannot tell one.
    """
    t_mean, _z, _slope, spread = weighted_line(t, t, weight)
    total, second, third = 0.0, 0.0, 0.0
    for i in range(len(t)):
        dt = t[i] - t_mean
        total += weight[i]
        second += weight[i] * dt * dt
        third += weight[i] * dt * dt * dt
    power = 0.0
    for i in range(len(t)):
        dt = t[i] - t_mean
        gain[i] = 0.5 * (dt * dt - second / total - dt * third / spread)
        power += weight[i] * gain[i] * gain[i]
    for i in range(len(t)):
        gain[i] = gain[i] * weight[i] / power if power > 0.0 else 0.0
    return power
