"""Kalman filter of a box in the image: centre and size at constant velocity, time in seconds.

The state is (x, y, w, h) and its velocity. The four coordinates are independent, and the two of the centre, like the
two of the size, share their noise. So the 8 x 8 covariance is six numbers: variance, covariance with the velocity and
variance of the velocity, first of the centre, then of the size. They are in units of the box: a standard deviation of 1
is the box's width (x, w) or height (y, h). The process noise is white acceleration, integrated exactly over the elapsed
time (Bar-Shalom, Li, Kirubarajan, "Estimation with Applications to Tracking and Navigation", 2001, 6.2.2): two
predictions of one second equal one of two seconds, and neither the frame rate nor a gap changes the model.
"""

from __future__ import annotations

from numba import njit

from kernels import Floats


@njit(cache=True, nogil=True)
def _predict_covariance(covariance: Floats, at: int, dt_s: float, agility: float) -> None:
    variance, cross, rate = covariance[at], covariance[at + 1], covariance[at + 2]
    noise = agility * agility
    covariance[at] = variance + dt_s * (2.0 * cross + dt_s * (rate + noise * dt_s / 3.0))
    covariance[at + 1] = cross + dt_s * (rate + noise * dt_s / 2.0)
    covariance[at + 2] = rate + noise * dt_s


@njit(cache=True, nogil=True)
def predict(dt_s: float, centre_agility: float, size_agility: float, mean: Floats, covariance: Floats) -> None:
    """Predict a box `dt_s` ahead, in place.

    agility      square root of the spectral density of the acceleration, box units / s^1.5
    mean         (8,) f8, in place: x, y, w, h in pixels, then their velocities in pixels/s
    covariance   (6,) f8, in place: as the module says, box units and seconds
    """
    for i in range(4):
        mean[i] += dt_s * mean[i + 4]
    _predict_covariance(covariance, 0, dt_s, centre_agility)
    _predict_covariance(covariance, 3, dt_s, size_agility)


@njit(cache=True, nogil=True)
def _correct_pair(measured: Floats, first: int, noise: float, mean: Floats, covariance: Floats) -> None:
    at = 3 * (first // 2)
    variance, cross, rate = covariance[at], covariance[at + 1], covariance[at + 2]
    innovation = variance + noise * noise
    gain, rate_gain = variance / innovation, cross / innovation
    for i in range(first, first + 2):
        residual = measured[i] - mean[i]
        mean[i] += gain * residual
        mean[i + 4] += rate_gain * residual
    covariance[at] = variance * (1.0 - gain)
    covariance[at + 1] = cross * (1.0 - gain)
    covariance[at + 2] = rate - rate_gain * cross


@njit(cache=True, nogil=True)
def correct(measured: Floats, centre_noise: float, size_noise: float, mean: Floats, covariance: Floats) -> None:
    """Correct a predicted box by a detection, in place.

    measured           (4,) f8: x, y, w, h of the detection, pixels
    noise              standard deviation of the detector, box units
    mean, covariance   as in `predict`
    """
    _correct_pair(measured, 0, centre_noise, mean, covariance)
    _correct_pair(measured, 2, size_noise, mean, covariance)
