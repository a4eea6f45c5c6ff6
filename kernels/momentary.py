"""How fast vehicles are just now: the least-squares line over their last moments, for every track of a batch."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numba import njit

from kernels.ground import ALL, Stride, deviation
from kernels.speed import Flags, Floats, Ints, Points


@njit(cache=True, nogil=True)
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
    """Least-squares velocity of the last moments before each wanted point.

    offset, t_s, position_m, jacobian   as in `fit_speed`; points with a nan position are passed over
    wanted        (P,) bool: points to be answered
    setting       length of the window in seconds, then the noise in pixels and metres as in `fit_speed`
    velocity_mps  (P, 2) f8, out: velocity; nan with fewer than three points or without an answer wanted
    sigma_mps     (P,) f8, out: standard error of the speed if the points erred independently; nan likewise
    """
    momentary_velocity_some(ALL, offset, Points(t_s, position_m, jacobian, wanted), setting, velocity_mps, sigma_mps)


@njit(cache=True, nogil=True)
def momentary_velocity_some(
    stride: Stride,
    offset: Ints,
    points: Points,
    setting: tuple[float, float, float],
    velocity_mps: Floats,
    sigma_mps: Floats,
) -> None:
    """`momentary_velocity` at the chosen points of some tracks."""
    t_s, position_m, jacobian, wanted = points
    for n in range(stride[0], len(offset) - 1, stride[1]):
        for i in range(offset[n], offset[n + 1]):
            velocity_mps[i] = np.nan
            sigma_mps[i] = np.nan
            if wanted[i]:
                _velocity_at(i, offset[n], t_s, position_m, jacobian, setting, velocity_mps[i], sigma_mps[i : i + 1])


@njit(cache=True, nogil=True)
def _window(first: int, last: int, t_s: Floats, position_m: Floats, window_s: float) -> tuple[int, int, float]:
    """Where the window that ends at `last` begins, how many points stand in it, and their mean time."""
    begin, count, total = last, 0, 0.0
    for i in range(last, first - 1, -1):
        if t_s[last] - t_s[i] > window_s:
            break
        begin = i
        if not np.isnan(position_m[i, 0]):
            count += 1
            total += t_s[i] - t_s[last]
    return begin, count, t_s[last] + total / max(count, 1)


@njit(cache=True, nogil=True)
def _velocity_at(
    last: int,
    first: int,
    t_s: Floats,
    position_m: Floats,
    jacobian: Floats,
    setting: tuple[float, float, float],
    velocity: Floats,
    sigma: Floats,
) -> None:
    begin, count, t_mean = _window(first, last, t_s, position_m, setting[0])
    spread, vx, vy = 0.0, 0.0, 0.0
    for i in range(begin, last + 1):
        if not np.isnan(position_m[i, 0]):
            spread += (t_s[i] - t_mean) ** 2
            vx += (t_s[i] - t_mean) * position_m[i, 0]
            vy += (t_s[i] - t_mean) * position_m[i, 1]
    if count < 3 or not spread > 0.0:
        return
    velocity[0], velocity[1] = vx / spread, vy / spread
    speed = np.hypot(velocity[0], velocity[1])
    along = (velocity[0] / speed, velocity[1] / speed) if speed > 0.0 else (1.0, 0.0)
    power = 0.0
    for i in range(begin, last + 1):
        if not np.isnan(position_m[i, 0]):
            power += ((t_s[i] - t_mean) * deviation(jacobian[i], along, setting[1], setting[2])) ** 2
    sigma[0] = sqrt(power) / spread
