"""Twin of `kernels.line`: matrices instead of running sums. Some functions return more than their twin does."""

from __future__ import annotations

import numpy as np

from kernels import Floats
from kernels.line import MAD_TO_SIGMA, MAX_ITERATIONS, MIN_SCALE, TOLERANCE, TUKEY


def theil_slope(t: Floats, z: Floats) -> float:
    """Twin of `kernels.line.theil_slope`."""
    half = len(t) // 2
    return float(np.median((z[half:] - z[: len(z) - half]) / (t[half:] - t[: len(t) - half])))


def biweight(t: Floats, s: Floats, sigma: Floats) -> tuple[float, float, Floats]:
    """Twin of `kernels.line.biweight`; returns the weights too."""
    slope = theil_slope(t, s)
    level = float(np.median(s - slope * t))
    for _ in range(MAX_ITERATIONS):
        ratio = (s - level - slope * t) / sigma
        scale = max(MAD_TO_SIGMA * float(np.median(np.abs(ratio))), MIN_SCALE)
        weight = np.clip(1.0 - (ratio / (TUKEY * scale)) ** 2, 0.0, None) ** 2 / sigma**2
        before, (slope, level) = slope, np.polyfit(t, s, 1, w=np.sqrt(weight))
        if abs(slope - before) <= TOLERANCE * abs(slope):
            break
    return slope, scale, weight


def line_gain(t: Floats, s: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Residuals of the weighted line, and the weights with which the positions sum to its slope."""
    dt = t - np.average(t, weights=weight)
    gain = weight * dt / (weight * dt**2).sum()
    return s - np.average(s, weights=weight) - (gain @ s) * dt, gain


def correlation_time(t: Floats, residual: Floats, weight: Floats) -> float:
    """Twin of `kernels.line.correlation_time`."""
    both = (weight[:-1] > 0) & (weight[1:] > 0)
    one, other, n = residual[:-1][both], residual[1:][both], both.sum()
    power = 0.5 * float(one @ one + other @ other)
    if n < 2 or not power > 0.0:
        return 0.0
    correlation = float(one @ other) / power
    correlation = min(correlation + (2.0 + 4.0 * correlation) / n, 0.98)
    return float(-np.diff(t)[both].mean() / np.log(correlation)) if correlation > 0.01 else 0.0


def sigma_of_sum(t: Floats, term_sigma: Floats, correlation_time_s: float) -> float:
    """Square root of `kernels.line.variance_of_sum`; `term_sigma` is gain * sigma."""
    lag_s = np.abs(t[:, None] - t[None])
    correlation = np.exp(-lag_s / correlation_time_s) if correlation_time_s > 0.0 else np.eye(len(t))
    return float(np.sqrt(term_sigma @ correlation @ term_sigma))


def acceleration(
    t: Floats, residual: Floats, sigma: Floats, weight: Floats, correlation_time_s: float, scale: float
) -> tuple[float, float]:
    """Acceleration and its standard error, from the quadratic in the residuals of the weighted line."""
    dt = t - np.average(t, weights=weight)
    basis = np.column_stack([np.ones_like(dt), dt, 0.5 * dt**2])
    gain = np.linalg.pinv(basis * np.sqrt(weight)[:, None])[2] * np.sqrt(weight)
    return float(gain @ residual), scale * sigma_of_sum(t, gain * sigma, correlation_time_s)
