"""Kalman filter of a box in the picture: centre and size at constant velocity, time in seconds.

The state is (x, y, w, h) and its velocity. Its four coordinates are independent of each other, and the two of the
centre, like the two of the size, share their noise; so the 8 x 8 covariance is six numbers: variance, covariance with
the velocity and variance of the velocity, for the centre and for the size. They are in units of the box: a deviation of
1 is the box's own width (x, w) or height (y, h). The process is white acceleration integrated exactly over the elapsed
time (Bar-Shalom, Li, Kirubarajan, "Estimation with Applications to Tracking and Navigation", 2001, 6.2.2), so two
predictions of a second are one of two seconds, and neither the frame rate nor a gap changes the model.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True)
def _spread_out(spread: Floats, at: int, dt_s: float, agility: float) -> None:
    variance, shared, rate = spread[at], spread[at + 1], spread[at + 2]
    noise = agility * agility
    spread[at] = variance + dt_s * (2.0 * shared + dt_s * (rate + noise * dt_s / 3.0))
    spread[at + 1] = shared + dt_s * (rate + noise * dt_s / 2.0)
    spread[at + 2] = rate + noise * dt_s


@njit(cache=True, nogil=True)
def predict(dt_s: float, centre_agility: float, size_agility: float, mean: Floats, spread: Floats) -> None:
    """Move a box on by `dt_s` in place.

    agility   root of the spectral density of the acceleration, box units / s^1.5
    mean      (8,) f8: x, y, w, h in pixels, then their velocities in pixels/s
    spread    (6,) f8: the covariance, as this module says
    """
    for i in range(4):
        mean[i] += dt_s * mean[i + 4]
    _spread_out(spread, 0, dt_s, centre_agility)
    _spread_out(spread, 3, dt_s, size_agility)


@njit(cache=True, nogil=True)
def _correct(measured: Floats, first: int, noise: float, mean: Floats, spread: Floats) -> None:
    at = 3 * (first // 2)
    variance, shared, rate = spread[at], spread[at + 1], spread[at + 2]
    innovation = variance + noise * noise
    gain, rate_gain = variance / innovation, shared / innovation
    for i in range(first, first + 2):
        residual = measured[i] - mean[i]
        mean[i] += gain * residual
        mean[i + 4] += rate_gain * residual
    spread[at] = variance * (1.0 - gain)
    spread[at + 1] = shared * (1.0 - gain)
    spread[at + 2] = rate - rate_gain * shared


@njit(cache=True, nogil=True)
def correct(measured: Floats, centre_noise: float, size_noise: float, mean: Floats, spread: Floats) -> None:
    """Take in a detection in place.

    measured   (4,) f8: x, y, w, h of the detection, pixels
    noise      standard deviation of the detector, box units
    """
    _correct(measured, 0, centre_noise, mean, spread)
    _correct(measured, 2, size_noise, mean, spread)
