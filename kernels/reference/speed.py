"""Twin of `kernels.speed`: one track or point after the other, with matrices instead of running sums."""

from __future__ import annotations

import numpy as np

from kernels import Flags, Floats, Ints
from kernels.reference.ground import deviation
from kernels.reference.line import acceleration, biweight, correlation_time, line_gain, sigma_of_sum, theil_slope
from kernels.speed import COLUMNS, MIN_POINTS, Fits


def fit_speed(
    offset: Ints, t_s: Floats, position_m: Floats, jacobian: Floats, usable: Flags, noise: tuple[float, float]
) -> Fits:
    """Twin of `kernels.speed.fit_speed`."""
    table, gain = np.full((len(offset) - 1, COLUMNS), np.nan), np.zeros(len(t_s))
    for n in range(len(offset) - 1):
        rows = np.arange(offset[n], offset[n + 1])
        rows = rows[usable[rows]]
        if len(rows) >= MIN_POINTS and (np.diff(t_s[rows]) > 0).all():
            table[n], gain[rows] = _fit(t_s[rows], position_m[rows], jacobian[rows], noise)
    return Fits(*table.T, gain)  # type: ignore[call-arg]


def _fit(t: Floats, position_m: Floats, jacobian: Floats, noise: tuple[float, float]) -> tuple[Floats, Floats]:
    """Fit one track; returns its row of the table and the gain of its points."""
    start = np.array([theil_slope(t, position_m[:, k]) for k in range(2)])
    speed = np.hypot(*start)
    along = start / speed if speed > 0.0 else np.array([1.0, 0.0])
    across = np.array([-along[1], along[0]])
    sigma = deviation(jacobian, along, noise)
    s, y = (position_m - position_m[0]) @ along, (position_m - position_m[0]) @ across
    slope, scale, weight = biweight(t, s, sigma)
    lateral = np.polyfit(t, y, 1, w=np.sqrt(weight))
    lateral_rms = np.sqrt(np.average((y - np.polyval(lateral, t)) ** 2, weights=weight))
    heading = np.arctan2(*(along * slope + across * lateral[0])[::-1])
    used = np.flatnonzero(weight)
    duration_s = t[used[-1]] - t[used[0]]
    residual, gain = line_gain(t, s, weight)
    time_s = correlation_time(t, residual, weight)
    rate, rate_sigma = acceleration(t, residual, sigma, weight, time_s, scale)
    to_share = duration_s / slope if slope else np.nan
    row = [
        np.hypot(slope, lateral[0]),
        scale * sigma_of_sum(t, gain * sigma, time_s),
        heading,
        rate * to_share,
        rate_sigma * abs(to_share),
        scale,
        len(used) / len(t),
        time_s,
        lateral_rms,
        t[used[0]],
        t[used[-1]],
        s[used[-1]] - s[used[0]],
        np.diff(t[used]).max(initial=0.0),
    ]
    return np.array(row), gain


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
            sigma_mps[i] = np.sqrt(((weight * deviation(jacobian[rows], along, setting[1:])) ** 2).sum())
