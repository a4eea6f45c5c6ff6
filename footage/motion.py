"""The position of a mover at an instant: a route on the ground and a speed profile along it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_STEP_M = 0.1
"""Spacing of the samples of a route."""


@dataclass(frozen=True)
class Pose:
    """Centre of a mover's footprint on the ground at one instant."""

    x_m: float
    y_m: float
    heading_rad: float
    """Direction of travel, from the x axis towards the y axis."""
    speed_mps: float


class Route:
    """A polyline with corners rounded by arcs, as a function of arc length."""

    def __init__(self, points_m: Sequence[tuple[float, float]], corner_radius_m: float) -> None:
        """Raises ValueError if two corners are too close for their arcs."""
        corners = _rounded(np.asarray(points_m, float), corner_radius_m)
        steps = np.linalg.norm(np.diff(corners, axis=0), axis=1)
        at = np.r_[0.0, np.cumsum(steps)]
        self.length_m = float(at[-1])
        self._at_m = np.linspace(0.0, self.length_m, max(2, int(self.length_m / _STEP_M) + 1))
        self._xy_m = np.stack([np.interp(self._at_m, at, corners[:, k]) for k in (0, 1)], axis=1)
        tangent = np.gradient(self._xy_m, self._at_m, axis=0)
        self._heading_rad = np.unwrap(np.arctan2(tangent[:, 1], tangent[:, 0]))

    def at(self, along_m: float) -> tuple[float, float, float]:
        """Position and heading `along_m` metres from the start."""
        x, y, heading = (
            float(np.interp(along_m, self._at_m, column))
            for column in (self._xy_m[:, 0], self._xy_m[:, 1], self._heading_rad)
        )
        return x, y, heading


def _rounded(points: Floats, radius: float) -> Floats:
    """Replace every inner corner by an arc that is tangent to both legs."""
    parts = [points[:1]]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        parts.append(_arc(before, corner, after, radius))
    return np.concatenate([*parts, points[-1:]])


def _arc(before: Floats, corner: Floats, after: Floats, radius: float) -> Floats:
    inwards, outwards = before - corner, after - corner
    room = min(np.linalg.norm(inwards), np.linalg.norm(outwards))
    inwards, outwards = inwards / np.linalg.norm(inwards), outwards / np.linalg.norm(outwards)
    half = np.arccos(np.clip(inwards @ outwards, -1, 1)) / 2
    reach = radius / np.tan(half)
    if reach < 1e-9:
        return corner[None]
    if reach > room:
        raise ValueError(f"the corner at {corner.tolist()} has no room for an arc of {radius} m")
    centre = corner + (inwards + outwards) / np.linalg.norm(inwards + outwards) * radius / np.sin(half)
    first = corner + inwards * reach - centre
    turn = np.sign(-inwards[0] * outwards[1] + inwards[1] * outwards[0]) * (np.pi - 2 * half)
    angles = np.linspace(0.0, turn, max(3, int(abs(turn) * radius / _STEP_M)))
    cos, sin = np.cos(angles), np.sin(angles)
    turned: Floats = np.stack([first[0] * cos - first[1] * sin, first[0] * sin + first[1] * cos], axis=1)
    turned += centre
    return turned


class SpeedProfile:
    """Speed that changes linearly between given instants and is constant before the first and after the last."""

    def __init__(self, times_s: ArrayLike, speeds_mps: ArrayLike) -> None:
        """Raises ValueError unless the instants ascend strictly."""
        self._t = np.asarray(times_s, float)
        self._v = np.asarray(speeds_mps, float)
        if np.any(np.diff(self._t) <= 0):
            raise ValueError("the instants of a speed profile must ascend")
        legs = np.diff(self._t) * (self._v[1:] + self._v[:-1]) / 2
        self._d = np.r_[0.0, np.cumsum(legs)]

    def speed_mps(self, time_s: float) -> float:
        return float(np.interp(time_s, self._t, self._v))

    def distance_m(self, time_s: float) -> float:
        """Distance covered since the first instant of the profile; negative before it."""
        k = int(np.searchsorted(self._t, time_s, side="right")) - 1
        if k < 0:
            return float(self._v[0] * (time_s - self._t[0]))
        mean = (self._v[k] + self.speed_mps(time_s)) / 2
        return float(self._d[k] + mean * (time_s - self._t[k]))


class Mover:
    """A route with a speed profile. The mover exists only while it is on the route."""

    def __init__(self, route: Route, profile: SpeedProfile, at_s: float, at_m: float) -> None:
        """The mover is `at_m` metres along the route at the instant `at_s`."""
        self.route = route
        self.profile = profile
        self._offset_m = at_m - profile.distance_m(at_s)

    def along_m(self, time_s: float) -> float:
        return self._offset_m + self.profile.distance_m(time_s)

    def pose(self, time_s: float) -> Pose | None:
        """The pose at an instant; None before the start and after the end of the route."""
        along = self.along_m(time_s)
        if not 0.0 <= along <= self.route.length_m:
            return None
        return Pose(*self.route.at(along), self.profile.speed_mps(time_s))
