"""The whole path of a vehicle, finely sampled, with functions on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from footage.bodies import Body
from footage.motion import Mover
from footage.scene import Vehicle

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

STEP_S = 0.01
"""Time between the samples of a way."""


@dataclass(frozen=True)
class Offence:
    """One offence of one vehicle."""

    kind: str
    vehicle: str
    began_s: float
    ended_s: float
    decisive_s: float
    article: str
    details: dict[str, float | str]

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Way:
    """The whole path of a vehicle, sampled at `time_s`."""

    vehicle: Vehicle
    body: Body
    time_s: Floats
    xy_m: Floats
    heading_rad: Floats
    speed_mps: Floats

    @property
    def nose_m(self) -> Floats:
        """(N, 2): the foremost point of the vehicle on the ground."""
        ahead = np.stack([np.cos(self.heading_rad), np.sin(self.heading_rad)], axis=1)
        return self.xy_m + ahead * self.body.front_m

    def offence(self, kind: str, article: str, where: Flags, decisive: int, **details: float | str) -> Offence:
        """An offence that lasts from the first to the last instant of `where`."""
        times = self.time_s[where]
        return Offence(
            kind,
            self.vehicle.name,
            round(float(times[0]), 2),
            round(float(times[-1]), 2),
            round(float(self.time_s[decisive]), 2),
            article,
            details,
        )


def way(vehicle: Vehicle, mover: Mover, body: Body) -> Way:
    """Sample a mover from the start to the end of its route, within ten minutes."""
    began, ended = _stay(mover)
    times = np.arange(began, ended, STEP_S)
    poses = [pose for pose in map(mover.pose, times.tolist()) if pose is not None]
    rows = np.array([(p.x_m, p.y_m, p.heading_rad, p.speed_mps) for p in poses])
    return Way(vehicle, body, times[: len(rows)], rows[:, :2], rows[:, 2], rows[:, 3])


def _stay(mover: Mover) -> tuple[float, float]:
    """The instants between which the mover is on its route."""
    times = np.arange(-300.0, 300.0, 0.1)
    along = np.array([mover.along_m(t) for t in times.tolist()])
    on = times[(along >= 0.0) & (along <= mover.route.length_m)]
    return float(on[0]), float(on[-1])


def inside(polygon_m: list[tuple[float, float]], points_m: Floats) -> Flags:
    """(N,) flags of the (N, 2) points inside the polygon, by the even-odd rule."""
    x, y = points_m[:, 0], points_m[:, 1]
    result = np.zeros(len(points_m), bool)
    for (x0, y0), (x1, y1) in zip(polygon_m, polygon_m[1:] + polygon_m[:1], strict=True):
        if y0 != y1:
            result ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return result


def runs(flags: Flags, least: int) -> Iterator[Flags]:
    """Every run of at least `least` true flags, as a mask of its own."""
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(np.int8)))
    for start, end in edges.reshape(-1, 2):
        if end - start >= least:
            one = np.zeros(len(flags), bool)
            one[start:end] = True
            yield one
