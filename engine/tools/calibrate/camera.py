"""A camera above a plane road: the few physical numbers that determine the image-to-ground homography.

The model is a pinhole with square pixels and a known principal point (by default the middle of the picture): position,
attitude, focal length and two radial distortion coefficients. Fewer marks determine it than a free homography, and each
number can be compared with the real camera.

The ground's z points up. At yaw 0 the camera looks along +y; pitch is positive downwards; roll turns the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.types import Floats

PARAMETERS = (
    *("focal length", "tilt", "roll", "direction", "height of the camera (the scale)"),
    *("place", "place", "distortion k1", "distortion k2"),
)
"""The elements of a parameter vector: log focal length in pixels, pitch, roll and yaw in radians, log height, x, y in
metres, k1, k2."""


@dataclass(frozen=True, slots=True)
class RoadCamera:
    """The model at one set of parameters."""

    centre_px: tuple[float, float]
    """Principal point."""
    parameters: Floats
    """(9,) f8, in the order of `PARAMETERS`."""

    @property
    def focal_px(self) -> float:
        """Focal length in pixels."""
        return float(np.exp(self.parameters[0]))

    @property
    def position_m(self) -> tuple[float, float, float]:
        """Position on the ground's axes: x, y and height above the road."""
        return float(self.parameters[5]), float(self.parameters[6]), float(np.exp(self.parameters[4]))

    @property
    def distortion(self) -> tuple[float, float]:
        """Brown's radial coefficients: distorted = undistorted (1 + k1 r^2 + k2 r^4), r in focal lengths."""
        return float(self.parameters[7]), float(self.parameters[8])

    def ground_from_camera(self) -> Floats:
        """(3, 3) rotation from the camera's axes (x right, y down, z ahead) to the ground's."""
        _, pitch, roll, yaw = self.parameters[:4]
        level = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
        return np.asarray(_rotation(2, yaw) @ _rotation(0, -pitch) @ _rotation(1, roll) @ level)

    def undistort(self, point_px: Floats) -> Floats:
        """(P, 2) image points without lens distortion, by fixed-point iteration."""
        k1, k2 = self.distortion
        if k1 == 0.0 and k2 == 0.0:
            return np.asarray(point_px, np.float64)
        distorted = (np.asarray(point_px) - self.centre_px) / self.focal_px
        straight = distorted
        for _ in range(10):
            square = (straight**2).sum(axis=1, keepdims=True)
            straight = distorted / (1.0 + square * (k1 + square * k2))
        return np.asarray(straight * self.focal_px + self.centre_px)

    def direction(self, point_px: Floats) -> Floats:
        """(P, 3) unit vectors of the lines of sight, on the ground's axes."""
        ray = np.column_stack([(self.undistort(point_px) - self.centre_px) / self.focal_px, np.ones(len(point_px))])
        ray /= np.linalg.norm(ray, axis=1, keepdims=True)
        return np.asarray(ray @ self.ground_from_camera().T)

    def to_ground(self, point_px: Floats) -> Floats:
        """(P, 2) ground points in metres of image points; nan at and above the horizon."""
        ray = self.direction(point_px)
        x, y, height = self.position_m
        reach = np.where(ray[:, 2] < -1e-9, -height / np.minimum(ray[:, 2], -1e-9), np.nan)
        return np.array([x, y]) + ray[:, :2] * reach[:, None]

    def to_image(self, ground_m: Floats) -> Floats:
        """(P, 2) image points of ground points, with distortion; nan behind the camera."""
        offset = np.column_stack([ground_m, np.zeros(len(ground_m))]) - self.position_m
        ray = offset @ self.ground_from_camera()
        with np.errstate(divide="ignore", invalid="ignore"):
            straight = np.where(ray[:, 2:] > 0.0, ray[:, :2] / ray[:, 2:], np.nan)
        square = (straight**2).sum(axis=1, keepdims=True)
        k1, k2 = self.distortion
        return np.asarray(straight * (1.0 + square * (k1 + square * k2)) * self.focal_px + self.centre_px)

    def image_to_ground(self) -> Floats:
        """(3, 3) homography of undistorted image points; Frobenius norm 1, positive weight on the road."""
        x, y, height = self.position_m
        u, v = self.centre_px
        ray = self.ground_from_camera() @ np.array([[1.0, 0.0, -u], [0.0, 1.0, -v], [0.0, 0.0, self.focal_px]])
        weight = -ray[2]
        h = np.array([height * ray[0] + x * weight, height * ray[1] + y * weight, weight])
        return np.asarray(h / np.linalg.norm(h))


def _rotation(axis: int, angle_rad: float) -> Floats:
    """(3, 3) rotation about axis 0, 1 or 2."""
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    rotation = np.eye(3)
    rotation[i, i], rotation[i, j], rotation[j, i], rotation[j, j] = cosine, -sine, sine, cosine
    return rotation
