"""Marks: the kinds of measurement on a road. Each compares the camera's view with the measured value.

The standard deviation of a mark combines the noise of the clicked pixels, propagated through the camera's geometry, and
the noise of the measurement itself (tape, line or instrument).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.tools.calibrate.camera import RoadCamera
from engine.types import Floats

Point = tuple[float, float]
Segment = tuple[Point, Point]


class Mark(Protocol):
    """One measurement on the road."""

    @property
    def name(self) -> str:
        """The operator's name for it."""

    def residual(self, camera: RoadCamera) -> Floats:
        """(R,) view minus measurement, in `unit`."""

    def sigma(self, camera: RoadCamera, click_px: float) -> Floats:
        """(R,) standard deviation of the residual, in `unit`; `click_px` is that of a clicked pixel."""

    @property
    def unit(self) -> str: ...


@dataclass(frozen=True, slots=True)
class GroundPoint:
    """A pixel whose position on the ground was surveyed."""

    name: str
    point_px: Point
    ground_m: Point
    sigma_m: float = 0.02
    unit = "m"

    def residual(self, camera: RoadCamera) -> Floats:
        return np.asarray(camera.to_ground(np.array([self.point_px]))[0] - self.ground_m)

    def sigma(self, camera: RoadCamera, click_px: float) -> Floats:
        clicks = _propagate_clicks(lambda points: camera.to_ground(points)[0], np.array([self.point_px]), click_px)
        return np.hypot(clicks, self.sigma_m)


@dataclass(frozen=True, slots=True)
class Distance:
    """A length measured on the road between two pixels."""

    name: str
    ends_px: Segment
    length_m: float
    sigma_m: float = 0.01
    unit = "m"

    def residual(self, camera: RoadCamera) -> Floats:
        return self._length(camera, np.array(self.ends_px)) - self.length_m

    def sigma(self, camera: RoadCamera, click_px: float) -> Floats:
        clicks = _propagate_clicks(lambda ends: self._length(camera, ends), np.array(self.ends_px), click_px)
        return np.hypot(clicks, self.sigma_m)

    @staticmethod
    def _length(camera: RoadCamera, ends_px: Floats) -> Floats:
        one, other = camera.to_ground(ends_px)
        return np.array([np.linalg.norm(one - other)])


@dataclass(frozen=True, slots=True)
class Direction:
    """A straight line on the road with a known direction.

    The ground's y axis lies along the road: a lane line has the angle 0, a stop line a right angle. Do not combine it
    with surveyed ground points, because then the axes are those of the survey.
    """

    name: str
    ends_px: Segment
    angle_rad: float = 0.0
    """From the y axis, clockwise as seen from above."""
    sigma_rad: float = 0.001
    unit = "rad"

    def residual(self, camera: RoadCamera) -> Floats:
        return self._angle(camera, np.array(self.ends_px))

    def sigma(self, camera: RoadCamera, click_px: float) -> Floats:
        clicks = _propagate_clicks(lambda ends: self._angle(camera, ends), np.array(self.ends_px), click_px)
        return np.hypot(clicks, self.sigma_rad)

    def _angle(self, camera: RoadCamera, ends_px: Floats) -> Floats:
        one, other = camera.to_ground(ends_px)
        return np.array([_wrap_half_turn(np.arctan2(*(other - one)) - self.angle_rad)])


@dataclass(frozen=True, slots=True)
class VanishingPoint:
    """The image point in which lines of one ground direction meet; determines the horizon and the direction."""

    name: str
    point_px: Point
    angle_rad: float = 0.0
    """Angle of the direction from the y axis, clockwise; for lines across the road a right angle."""
    sigma_rad: float = 0.005
    """Standard deviation of the line of sight to the point."""
    unit = "rad"

    def residual(self, camera: RoadCamera) -> Floats:
        ray = camera.direction(np.array([self.point_px]))[0]
        return np.array([_wrap_half_turn(np.arctan2(ray[0], ray[1]) - self.angle_rad), np.arcsin(ray[2])])

    def sigma(self, camera: RoadCamera, click_px: float) -> Floats:
        return np.full(2, np.hypot(self.sigma_rad, click_px / camera.focal_px))


@dataclass(frozen=True, slots=True)
class CameraHeight:
    """The height of the camera above the road, for example by tape; determines the scale."""

    height_m: float
    sigma_m: float = 0.05
    name: str = "camera height"
    unit = "m"

    def residual(self, camera: RoadCamera) -> Floats:
        return np.array([camera.position_m[2] - self.height_m])

    def sigma(self, camera: RoadCamera, click_px: float) -> Floats:
        return np.array([self.sigma_m])


def _wrap_half_turn(angle_rad: float) -> float:
    """The angle between undirected lines, in -90 to 90 degrees."""
    return float((angle_rad + np.pi / 2) % np.pi - np.pi / 2)


def _propagate_clicks(measure: Callable[[Floats], Floats], points_px: Floats, click_px: float) -> Floats:
    """Standard deviation of a function of clicked pixels, by central differences over one pixel."""
    variance = np.zeros(1)
    for at in np.ndindex(points_px.shape):
        step = np.zeros_like(points_px)
        step[at] = 0.5
        variance = variance + (measure(points_px + step) - measure(points_px - step)) ** 2
    return np.asarray(click_px * np.sqrt(variance))
