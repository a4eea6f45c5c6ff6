"""The pinhole camera of a scene: its exact projection, and the homography of the road plane.

Image coordinates are pixels, x right, y down, (0, 0) the outer corner of the first pixel; the ground is z = 0, metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """A camera without lens distortion, square pixels, principal point in the middle of the picture."""

    position_m: tuple[float, float, float]
    target_m: tuple[float, float, float]
    focal_length_mm: float
    sensor_width_mm: float
    width_px: int
    height_px: int

    @property
    def focal_length_px(self) -> float:
        return self.focal_length_mm / self.sensor_width_mm * self.width_px

    @cached_property
    def intrinsics(self) -> Floats:
        """(3, 3): camera axes to homogeneous image pixels."""
        focal = self.focal_length_px
        return np.array([[focal, 0, self.width_px / 2], [0, focal, self.height_px / 2], [0, 0, 1]])

    @cached_property
    def world_to_camera(self) -> Floats:
        """(3, 4): world metres to camera axes: x right, y down, z forward."""
        position = np.asarray(self.position_m, float)
        forward = np.asarray(self.target_m, float) - position
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        return np.concatenate([rotation, (-rotation @ position)[:, None]], axis=1)

    @property
    def ground_to_image(self) -> Floats:
        """(3, 3): homography of the plane z = 0, scaled so that its last element is 1."""
        homography: Floats = (self.intrinsics @ self.world_to_camera)[:, [0, 1, 3]]
        homography /= homography[2, 2]
        return homography

    @property
    def image_to_ground(self) -> Floats:
        """(3, 3): inverse of `ground_to_image`, scaled so that its last element is 1."""
        homography = np.linalg.inv(self.ground_to_image).astype(np.float64)
        homography /= homography[2, 2]
        return homography

    def project(self, world_m: ArrayLike) -> tuple[Floats, Floats]:
        """Project (N, 3) world points; returns (N, 2) pixels, nan behind the camera, and (N,) depth in metres."""
        points = np.asarray(world_m, float)
        camera = points @ self.world_to_camera[:, :3].T + self.world_to_camera[:, 3]
        depth = camera[:, 2]
        in_front = np.where(depth > 0.05, depth, np.nan)
        homogeneous = camera @ self.intrinsics.T
        return homogeneous[:, :2] / in_front[:, None], depth


def stated(matrix: Floats) -> list[list[float]]:
    """The matrix as files state it: 12 significant digits, and 0 for a value that differs from 0 by rounding only.

    The last bits of a product or an inverse differ between processors. On the road of a scene, what is left out here
    is less than a micrometre.
    """
    least = 1e-16 * np.abs(matrix).max()
    return [[float(f"{value:.12g}") if abs(value) > least else 0.0 for value in row] for row in matrix]


def transform(homography: ArrayLike, points: ArrayLike) -> Floats:
    """Apply a (3, 3) homography to (N, 2) points."""
    homogeneous = np.c_[np.asarray(points, float), np.ones(len(np.asarray(points)))] @ np.asarray(homography, float).T
    return np.asarray(homogeneous[:, :2] / homogeneous[:, 2:], float)
