"""Twins of `kernels.speed`: one track after the other, with matrices instead of running sums."""

from __future__ import annotations

import numpy as np

from kernels.speed import (
    COLUMNS,
    FEWEST,
    ITERATIONS,
    MAD_TO_SIGMA,
    SETTLED,
    SMALLEST_SCALE,
    TUKEY,
    Fits,
    Flags,
    Floats,
    Ints,
)


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


def momentary_velocity(
    offset: Ints,
    t_s: Floats,
    position_m: Floats,
    jacobian: Floats,
    wanted: Flags,
    setting: tuple[float, float, float],
    velocity_mps: Floats,
    sigma_mps: Floats,
) -> None:
    """Twin of `kernels.speed.momentary_velocity`."""
    velocity_mps[:], sigma_mps[:] = np.nan, np.nan
    for n in range(len(offset) - 1):
        for i in range(offset[n], offset[n + 1]):
            rows = np.arange(offset[n], i + 1)
            rows = rows[(t_s[i] - t_s[rows] <= setting[0]) & np.isfinite(position_m[rows, 0])]
            if not wanted[i] or len(rows) < 3 or np.ptp(t_s[rows]) == 0.0:
                continue
            weight = t_s[rows] - t_s[rows].mean()
            weight /= (weight**2).sum()
            velocity_mps[i] = weight @ position_m[rows]
            along = velocity_mps[i] / np.hypot(*velocity_mps[i]) if velocity_mps[i].any() else np.array([1.0, 0.0])
            sigma_mps[i] = np.sqrt(((weight * _deviation(jacobian[rows], along, setting[1:])) ** 2).sum())


def _fit(t: Floats, position_m: Floats, jacobian: Floats, noise: tuple[float, float]) -> tuple[Floats, Floats]:
    """One track: its row of the table, and the gain of its points."""
    start = np.array([_pair_slope(t, position_m[:, k]) for k in range(2)])
    speed = np.hypot(*start)
    along = start / speed if speed > 0.0 else np.array([1.0, 0.0])
    across = np.array([-along[1], along[0]])
    sigma = _deviation(jacobian, along, noise)
    s, y = (position_m - position_m[0]) @ along, (position_m - position_m[0]) @ across
    slope, scale, weight = _biweight(t, s, sigma)
    side = np.polyfit(t, y, 1, w=np.sqrt(weight))
    sway = np.sqrt(np.average((y - np.polyval(side, t)) ** 2, weights=weight))
    heading = np.arctan2(*(along * slope + across * side[0])[::-1])
    used = np.flatnonzero(weight)
    lasting = t[used[-1]] - t[used[0]]
    residual, gain = _line_gain(t, s, weight)
    memory = _memory(t, residual, weight)
    drift, drift_sigma = _drift(t, residual, sigma, weight, memory, scale)
    turn = lasting / slope if slope else np.nan
    row = [
        np.hypot(slope, side[0]),
        scale * _sigma(t, gain * sigma, memory),
        heading,
        drift * turn,
        drift_sigma * abs(turn),
        scale,
        len(used) / len(t),
        memory,
        sway,
        t[used[0]],
        t[used[-1]],
        s[used[-1]] - s[used[0]],
        np.diff(t[used]).max(initial=0.0),
    ]
    return np.array(row), gain


def _deviation(jacobian: Floats, along: Floats, noise: tuple[float, ...]) -> Floats:
    pixel = np.einsum("k,pkj->pj", along, jacobian)
    return np.asarray(np.sqrt((pixel**2).sum(axis=1) * noise[0] ** 2 + noise[1] ** 2))


def _pair_slope(t: Floats, z: Floats) -> float:
    half = len(t) // 2
    return float(np.median((z[half:] - z[: len(z) - half]) / (t[half:] - t[: len(t) - half])))


def _biweight(t: Floats, s: Floats, sigma: Floats) -> tuple[float, float, Floats]:
    slope = _pair_slope(t, s)
    level = float(np.median(s - slope * t))
    for _ in range(ITERATIONS):
        ratio = (s - level - slope * t) / sigma
        scale = max(MAD_TO_SIGMA * float(np.median(np.abs(ratio))), SMALLEST_SCALE)
        weight = np.clip(1.0 - (ratio / (TUKEY * scale)) ** 2, 0.0, None) ** 2 / sigma**2
        before, (slope, level) = slope, np.polyfit(t, s, 1, w=np.sqrt(weight))
        if abs(slope - before) <= SETTLED * abs(slope):
            break
    return slope, scale, weight


def _line_gain(t: Floats, s: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Residuals of the weighted line, and the weights with which its slope sums the positions."""
    dt = t - np.average(t, weights=weight)
    gain = weight * dt / (weight * dt**2).sum()
    return s - np.average(s, weights=weight) - (gain @ s) * dt, gain


def _memory(t: Floats, residual: Floats, weight: Floats) -> float:
    both = (weight[:-1] > 0) & (weight[1:] > 0)
    one, other, n = residual[:-1][both], residual[1:][both], both.sum()
    power = 0.5 * float(one @ one + other @ other)
    if n < 2 or not power > 0.0:
        return 0.0
    alike = float(one @ other) / power
    alike = min(alike + (2.0 + 4.0 * alike) / n, 0.98)
    return float(-np.diff(t)[both].mean() / np.log(alike)) if alike > 0.01 else 0.0


def _sigma(t: Floats, gained: Floats, memory: float) -> float:
    apart = np.abs(t[:, None] - t[None])
    alike = np.exp(-apart / memory) if memory > 0.0 else np.eye(len(t))
    return float(np.sqrt(gained @ alike @ gained))


def _drift(
    t: Floats, residual: Floats, sigma: Floats, weight: Floats, memory: float, scale: float
) -> tuple[float, float]:
    """Acceleration and its standard error, from the quadratic that the weighted line leaves over."""
    dt = t - np.average(t, weights=weight)
    basis = np.column_stack([np.ones_like(dt), dt, 0.5 * dt**2])
    gain = np.linalg.pinv(basis * np.sqrt(weight)[:, None])[2] * np.sqrt(weight)
    return float(gain @ residual), scale * _sigma(t, gain * sigma, memory)
