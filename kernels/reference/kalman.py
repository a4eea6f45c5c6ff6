"""NumPy twin of `kernels.kalman`: the textbook's matrices, all eight rows of them."""

from __future__ import annotations

import numpy as np

from kernels.kalman import Floats

_COORDINATES = np.arange(4)
_OBSERVED = np.eye(4, 8)


def _covariance(spread: Floats) -> Floats:
    """(8, 8) f8 of the six numbers."""
    full = np.zeros((8, 8))
    for i in _COORDINATES:
        variance, shared, rate = spread[3 * (i // 2) : 3 * (i // 2) + 3]
        full[i, i], full[i, i + 4], full[i + 4, i], full[i + 4, i + 4] = variance, shared, shared, rate
    return full


def _write(full: Floats, spread: Floats) -> None:
    for group, i in enumerate((0, 2)):
        spread[3 * group : 3 * group + 3] = full[i, i], full[i, i + 4], full[i + 4, i + 4]


def predict(dt_s: float, centre_agility: float, size_agility: float, mean: Floats, spread: Floats) -> None:
    """As the kernel's."""
    step = np.eye(8)
    step[_COORDINATES, _COORDINATES + 4] = dt_s
    noise = np.array([[dt_s**3 / 3, dt_s**2 / 2], [dt_s**2 / 2, dt_s]])
    density = np.diag([centre_agility**2, centre_agility**2, size_agility**2, size_agility**2])
    mean[:] = step @ mean
    _write(step @ _covariance(spread) @ step.T + np.kron(noise, density), spread)


def correct(measured: Floats, centre_noise: float, size_noise: float, mean: Floats, spread: Floats) -> None:
    """As the kernel's."""
    covariance = _covariance(spread)
    noise = np.diag([centre_noise**2, centre_noise**2, size_noise**2, size_noise**2])
    gain = covariance @ _OBSERVED.T @ np.linalg.inv(_OBSERVED @ covariance @ _OBSERVED.T + noise)
    mean[:] = mean + gain @ (measured - _OBSERVED @ mean)
    _write((np.eye(8) - gain @ _OBSERVED) @ covariance, spread)
