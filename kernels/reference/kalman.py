"""Twin of `kernels.kalman`: the textbook's 8 x 8 matrices."""

from __future__ import annotations

import numpy as np

from kernels import Floats

_COORDINATES = np.arange(4)
_OBSERVATION = np.eye(4, 8)


def _unpack(covariance: Floats) -> Floats:
    """(8, 8) f8 from the six numbers."""
    full = np.zeros((8, 8))
    for i in _COORDINATES:
        variance, cross, rate = covariance[3 * (i // 2) : 3 * (i // 2) + 3]
        full[i, i], full[i, i + 4], full[i + 4, i], full[i + 4, i + 4] = variance, cross, cross, rate
    return full


def _pack(full: Floats, covariance: Floats) -> None:
    for group, i in enumerate((0, 2)):
        covariance[3 * group : 3 * group + 3] = full[i, i], full[i, i + 4], full[i + 4, i + 4]


def predict(dt_s: float, centre_agility: float, size_agility: float, mean: Floats, covariance: Floats) -> None:
    """Twin of `kernels.kalman.predict`."""
    step = np.eye(8)
    step[_COORDINATES, _COORDINATES + 4] = dt_s
    noise = np.array([[dt_s**3 / 3, dt_s**2 / 2], [dt_s**2 / 2, dt_s]])
    density = np.diag([centre_agility**2, centre_agility**2, size_agility**2, size_agility**2])
    mean[:] = step @ mean
    _pack(step @ _unpack(covariance) @ step.T + np.kron(noise, density), covariance)


def correct(measured: Floats, centre_noise: float, size_noise: float, mean: Floats, covariance: Floats) -> None:
    """Twin of `kernels.kalman.correct`."""
    full = _unpack(covariance)
    noise = np.diag([centre_noise**2, centre_noise**2, size_noise**2, size_noise**2])
    gain = full @ _OBSERVATION.T @ np.linalg.inv(_OBSERVATION @ full @ _OBSERVATION.T + noise)
    mean[:] = mean + gain @ (measured - _OBSERVATION @ mean)
    _pack((np.eye(8) - gain @ _OBSERVATION) @ full, covariance)
