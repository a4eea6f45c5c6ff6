"""What a surveyor can know of a road: each mark compares the camera's view of it with what was measured.

Every mark gives residuals in units of its own standard deviation: the noise of clicking on pixels, taken through the
camera's geometry, and the noise of the tape, the lines or the instrument.
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
    """One thing known of the road."""

    @property
    def name(self) -> str:
        """How the operator calls it."""

    def residual(self, camera: RoadCamera) -> Floats:
        """(R,) difference between the view and the measurement, in `unit`."""

    def sigma(self, camera: RoadCamera, click_px: float) -> Floats:
        """(R,) its standard deviation, in `unit`, for points clicked with a standard deviation of `click_px`."""

    @property
    def unit(self) -> str: ...


@dataclass(frozen=True, slots=True)
class GroundPoint:
    """A pixel whose place on the ground was surveyed."""

    name: str
    point_px: Point
    ground_m: Point
    sigma_m: float = 0.02
    unit = "m"

    def residual(self, camera: RoadCamera) -> Floats:
        return np.asarray(camera.to_ground(np.array([self.point_px]))[0] - self.ground_m)

    def sigma(self, camera: RoadCamera, click_px: float) -> Floats:
        seen = _spread(lambda points: camera.to_ground(points)[0], np.array([self.point_px]), click_px)
        return np.hypot(seen, self.sigma_m)


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
        seen = _spread(lambda ends: self._length(camera, ends), np.array(self.ends_px), click_px)
        return np.hypot(seen, self.sigma_m)

    @staticmethod
    def _length(camera: RoadCamera, ends_px: Floats) -> Floats:
        one, other = camera.to_ground(ends_px)
        return np.array([np.linalg.norm(one - other)])


@dataclass(frozen=True, slots=True)
class Direction:
    """A straight line on the road whose direction is known against the ground's axes.

    Lines that are parallel to each other share the angle; the ground's y axis lies along the road, so a lane line has
    angle 0 and a stop line a right angle. With surveyed ground points the axes are the survey's own: use none then.
    """

    name: str
    ends_px: Segment
    angle_rad: float = 0.0
    """From the y axis, clockwise seen from above."""
    sigma_rad: float = 0.001
    unit = "rad"

    def residual(self, camera: RoadCamera) -> Floats:
        return self._angle(camera, np.array(self.ends_px))

    def sigma(self, camera: RoadCamera, click_px: float) -> Floats:
        seen = _spread(lambda ends: self._angle(camera, ends), np.array(self.ends_px), click_px)
        return np.hypot(seen, self.sigma_rad)

    def _angle(self, camera: RoadCamera, ends_px: Floats) -> Floats:
        one, other = camera.to_ground(ends_px)
        return np.array([_half_turn(np.arctan2(*(other - one)) - self.angle_rad)])


@dataclass(frozen=True, slots=True)
class VanishingPoint:
    """Where lines of one ground direction meet in the image; it fixes the horizon and the direction."""

    name: str
    point_px: Point
    angle_rad: float = 0.0
    """Of that direction from the y axis, clockwise; the second vanishing point of a road has a right angle."""
    sigma_rad: float = 0.005
    """Standard deviation of the line of sight to it."""
    unit = "rad"

    def residual(self, camera: RoadCamera) -> Floats:
        ray = camera.direction(np.array([self.point_px]))[0]
        return np.array([_half_turn(np.arctan2(ray[0], ray[1]) - self.angle_rad), np.arcsin(ray[2])])

    def sigma(self, camera: RoadCamera, click_px: float) -> Floats:
        return np.full(2, np.hypot(self.sigma_rad, click_px / camera.focal_px))


@dataclass(frozen=True, slots=True)
class CameraHeight:
    """The height of the camera above the road, with a tape from the pole: a scale."""

    height_m: float
    sigma_m: float = 0.05
    name: str = "camera height"
    unit = "m"

    def residual(self, camera: RoadCamera) -> Floats:
        return np.array([camera.position_m[2] - self.height_m])

    def sigma(self, camera: RoadCamera, click_px: float) -> Floats:
        return np.array([self.sigma_m])


def _half_turn(angle_rad: float) -> float:
    """The angle between undirected lines: brought to -90 to 90 degrees."""
    return float((angle_rad + np.pi / 2) % np.pi - np.pi / 2)


def _spread(measure: Callable[[Floats], Floats], points_px: Floats, click_px: float) -> Floats:
    """Standard deviation of a measure of pixels that are each clicked with a standard deviation, by differences."""
    variance = np.zeros(1)
    for at in np.ndindex(points_px.shape):
        step = np.zeros_like(points_px)
        step[at] = 0.5
        variance = variance + (measure(points_px + step) - measure(points_px - step)) ** 2
    return np.asarray(click_px * np.sqrt(variance))
