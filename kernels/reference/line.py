"""Twins of `kernels.line`: matrices instead of running sums, so that some answer more at once."""

from __future__ import annotations

import numpy as np

from kernels.line import ITERATIONS, MAD_TO_SIGMA, SETTLED, SMALLEST_SCALE, TUKEY, Floats


def pair_slope(t: Floats, z: Floats) -> float:
    half = len(t) // 2
    return float(np.median((z[half:] - z[: len(z) - half]) / (t[half:] - t[: len(t) - half])))


def biweight(t: Floats, s: Floats, sigma: Floats) -> tuple[float, float, Floats]:
    slope = pair_slope(t, s)
    level = float(np.median(s - slope * t))
    for _ in range(ITERATIONS):
        ratio = (s - level - slope * t) / sigma
        scale = max(MAD_TO_SIGMA * float(np.median(np.abs(ratio))), SMALLEST_SCALE)
        weight = np.clip(1.0 - (ratio / (TUKEY * scale)) ** 2, 0.0, None) ** 2 / sigma**2
        before, (slope, level) = slope, np.polyfit(t, s, 1, w=np.sqrt(weight))
        if abs(slope - before) <= SETTLED * abs(slope):
            break
    return slope, scale, weight


def line_gain(t: Floats, s: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Residuals of the weighted line, and the weights with which its slope sums the positions."""
    dt = t - np.average(t, weights=weight)
    gain = weight * dt / (weight * dt**2).sum()
    return s - np.average(s, weights=weight) - (gain @ s) * dt, gain


def memory(t: Floats, residual: Floats, weight: Floats) -> float:
    both = (weight[:-1] > 0) & (weight[1:] > 0)
    one, other, n = residual[:-1][both], residual[1:][both], both.sum()
    power = 0.5 * float(one @ one + other @ other)
    if n < 2 or not power > 0.0:
        return 0.0
    alike = float(one @ other) / power
    alike = min(alike + (2.0 + 4.0 * alike) / n, 0.98)
    return float(-np.diff(t)[both].mean() / np.log(alike)) if alike > 0.01 else 0.0


def sigma_of_sum(t: Floats, gained: Floats, memory: float) -> float:
    apart = np.abs(t[:, None] - t[None])
    alike = np.exp(-apart / memory) if memory > 0.0 else np.eye(len(t))
    return float(np.sqrt(gained @ alike @ gained))


def drift_of(
    t: Floats, residual: Floats, sigma: Floats, weight: Floats, memory: float, scale: float
) -> tuple[float, float]:
    """Acceleration and its standard error, from the quadratic that the weighted line leaves over."""
    dt = t - np.average(t, weights=weight)
    basis = np.column_stack([np.ones_like(dt), dt, 0.5 * dt**2])
    gain = np.linalg.pinv(basis * np.sqrt(weight)[:, None])[2] * np.sqrt(weight)
    return float(gain @ residual), scale * sigma_of_sum(t, gain * sigma, memory)
