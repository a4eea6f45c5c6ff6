"""A robust straight line over time, the correlation of its residuals, and the variance of weighted sums.

Iteratively re-weighted least squares with Tukey's biweight (Holland and Welsch 1977; tuning constant 4.685, 95 %
efficient on Gaussian noise) and the residuals' median absolute deviation as scale, from a start that outliers cannot
move. Residuals are taken as correlated exponentially in time, AR(1) for equal steps. The correlation is estimated at
lag one, corrected for the small-sample bias of a fitted trend (Kendall 1954; Marriott and Pope 1954).

All arrays are (n,) f8: times t in seconds, values z or s, their expected standard deviations sigma, weights. `scratch`
is working memory of the same length.
"""

from __future__ import annotations

from math import exp, log

from numba import njit

from kernels import Floats

TUKEY = 4.685
MAX_ITERATIONS = 25
TOLERANCE = 1e-7
"""The iteration stops when the slope changes by at most this share of itself."""
MAD_TO_SIGMA = 1.4826
MIN_SCALE = 1e-3


@njit(cache=True, nogil=True)
def partition(values: Floats, place: int) -> None:
    """Reorder in place so that no value before `place` is larger than the value there, and no later value smaller.

    Hoare's FIND (1961, Algorithm 65, "quickselect"): no extra memory, linear time on average.
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
    """Median of an array; reorders it."""
    half = len(scratch) // 2
    partition(scratch, half)
    below = scratch[half]
    if len(scratch) % 2 == 0:
        below = scratch[0]
        for i in range(1, half):
            below = max(below, scratch[i])
    return float(0.5 * (below + scratch[half]))


@njit(cache=True, nogil=True)
def theil_slope(t: Floats, z: Floats, scratch: Floats) -> float:
    """Median slope of the pairs of points half a track apart (Theil's incomplete method, 1950).

    A point is in one pair (the middle one of an odd number in two), so a quarter of the points may be outliers.
    """
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
    t_squares, products = 0.0, 0.0
    for i in range(len(t)):
        t_squares += weight[i] * (t[i] - t_mean) ** 2
        products += weight[i] * (t[i] - t_mean) * (z[i] - z_mean)
    return t_mean, z_mean, products / t_squares, t_squares


@njit(cache=True, nogil=True)
def biweight(t: Floats, s: Floats, sigma: Floats, weight: Floats, scratch: Floats) -> tuple[float, float]:
    """Fit a robust line through (t, s). Returns slope and scale; writes the final weights (biweight / sigma^2)."""
    slope = theil_slope(t, s, scratch)
    for i in range(len(t)):
        scratch[i] = s[i] - slope * t[i]
    level = median(scratch[: len(t)])
    scale = 0.0
    for _ in range(MAX_ITERATIONS):
        for i in range(len(t)):
            scratch[i] = abs(s[i] - level - slope * t[i]) / sigma[i]
        scale = max(MAD_TO_SIGMA * median(scratch[: len(t)]), MIN_SCALE)
        for i in range(len(t)):
            ratio = (s[i] - level - slope * t[i]) / (TUKEY * scale * sigma[i])
            weight[i] = max(0.0, 1.0 - ratio * ratio) ** 2 / (sigma[i] * sigma[i])
        before = slope
        t_mean, s_mean, slope, _ = weighted_line(t, s, weight)
        level = s_mean - slope * t_mean
        if abs(slope - before) <= TOLERANCE * abs(slope):
            break
    return slope, scale


@njit(cache=True, nogil=True)
def correlation_time(t: Floats, residual: Floats, weight: Floats) -> float:
    """Correlation time of the residuals in seconds, from their correlation at lag one; 0 if they do not correlate."""
    products, power, step, n = 0.0, 0.0, 0.0, 0
    for i in range(len(t) - 1):
        if weight[i] > 0.0 and weight[i + 1] > 0.0:
            products += residual[i] * residual[i + 1]
            power += 0.5 * (residual[i] ** 2 + residual[i + 1] ** 2)
            step += t[i + 1] - t[i]
            n += 1
    if n < 2 or not power > 0.0:
        return 0.0
    correlation = products / power
    correlation = min(correlation + (2.0 + 4.0 * correlation) / n, 0.98)
    return -(step / n) / log(correlation) if correlation > 0.01 else 0.0


@njit(cache=True, nogil=True)
def variance_of_sum(t: Floats, gain: Floats, sigma: Floats, correlation_time_s: float) -> float:
    """Variance of sum gain_i z_i, with standard deviations sigma and correlation exp(-|dt| / correlation time)."""
    total, tail = 0.0, 0.0
    for i in range(len(t) - 1, -1, -1):
        own = gain[i] * sigma[i]
        total += own * (own + 2.0 * tail)
        if i > 0:
            tail = (tail + own) * exp(-(t[i] - t[i - 1]) / correlation_time_s) if correlation_time_s > 0.0 else 0.0
    return max(total, 0.0)


@njit(cache=True, nogil=True)
def curvature(t: Floats, weight: Floats, gain: Floats) -> float:
    """Write to `gain` the weights with which the residuals of the line sum to the curvature d^2 s / dt^2.

    The quadratic (t - mean)^2 / 2 is made orthogonal to the line under the weights, so the residuals of the line are
    enough. Returns the weighted sum of its squares; 0 if the points determine no quadratic.
    """
    t_mean, _, _, t_squares = weighted_line(t, t, weight)
    total, second, third = 0.0, 0.0, 0.0
    for i in range(len(t)):
        dt = t[i] - t_mean
        total += weight[i]
        second += weight[i] * dt * dt
        third += weight[i] * dt * dt * dt
    power = 0.0
    for i in range(len(t)):
        dt = t[i] - t_mean
        gain[i] = 0.5 * (dt * dt - second / total - dt * third / t_squares)
        power += weight[i] * gain[i] * gain[i]
    for i in range(len(t)):
        gain[i] = gain[i] * weight[i] / power if power > 0.0 else 0.0
    return power
