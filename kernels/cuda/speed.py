"""`kernels.speed` on the GPU, one thread per track.

Tracks are independent and short, so one thread fits a whole track, without shared memory or barriers. The points of a
track lie side by side, as on the CPU; neighbouring threads therefore read far apart and rely on the cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from kernels import speed
from kernels.cuda.source import cuda, launch, on_device
from kernels.speed import Points

_fit_speed_at = on_device(speed.fit_speed_at)
_momentary_velocity_on_device = on_device(speed.momentary_velocity)


class FitBuffers(NamedTuple):
    """Device arrays that a fit writes to. They can be larger than the batch needs, and reused."""

    work: Any
    """(WORK_ROWS, >= P) f8: scratch memory."""
    table: Any
    """(>= N, COLUMNS) f8, out: one row per track, columns as in `kernels.speed.Fits`."""
    gain: Any
    """(>= P,) f8, out: the weight of every point in its track's speed."""


@cuda.jit
def _fit_speed(
    offset: Any, t_s: Any, position_m: Any, jacobian: Any, usable: Any, noise: Any, work: Any, table: Any, gain: Any
) -> None:
    points = Points(t_s, position_m, jacobian, usable)
    for n in range(cuda.grid(1), len(offset) - 1, cuda.gridsize(1)):
        _fit_speed_at(n, offset, points, noise, work, table, gain)


@cuda.jit
def _momentary_velocity(
    offset: Any, t_s: Any, position_m: Any, jacobian: Any, wanted: Any, setting: Any, velocity_mps: Any, sigma_mps: Any
) -> None:
    stride = (cuda.grid(1), cuda.gridsize(1))
    _momentary_velocity_on_device(offset, t_s, position_m, jacobian, wanted, setting, velocity_mps, sigma_mps, stride)


def fit_speed(offset: Any, points: Points, noise: tuple[float, float], out: FitBuffers, stream: Any = 0) -> None:
    """`kernels.speed.fit_speed`; `points.chosen` marks the usable points."""
    launch(_fit_speed, len(offset) - 1, stream, offset, *points, noise, *out)


def momentary_velocity(
    offset: Any, points: Points, setting: tuple[float, float, float], velocity_mps: Any, sigma_mps: Any, stream: Any = 0
) -> None:
    """`kernels.speed.momentary_velocity`; `points.chosen` marks the wanted points."""
    launch(_momentary_velocity, len(offset) - 1, stream, offset, *points, setting, velocity_mps, sigma_mps)
