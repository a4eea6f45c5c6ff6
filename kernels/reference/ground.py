"""Twin of `kernels.ground`: whole arrays at once."""

from __future__ import annotations

import numpy as np

from kernels import Floats, Ints, Ints32
from kernels.ground import UNDISTORT_ITERATIONS


def undistort(lens: Floats, geometry: Ints32, point_px: Floats) -> None:
    """Twin of `kernels.ground.undistort`."""
    known = geometry >= 0
    row = lens[geometry[known]]
    focal, centre = row[:, :1], row[:, 1:3]
    distorted = (point_px[known] - centre) / focal
    straight = distorted
    for _ in range(UNDISTORT_ITERATIONS):
        square = (straight**2).sum(axis=1, keepdims=True)
        straight = distorted / (1.0 + square * (row[:, 3:4] + square * row[:, 4:5]))
    has_distortion = (row[:, 3:] != 0.0).any(axis=1, keepdims=True)
    point_px[known] = np.where(has_distortion, straight * focal + centre, point_px[known])


def to_ground(
    image_to_ground: Floats, geometry: Ints32, point_px: Floats, position_m: Floats, jacobian: Floats
) -> None:
    """Twin of `kernels.ground.to_ground`."""
    position_m[:], jacobian[:] = np.nan, np.nan
    h = image_to_ground[geometry]
    homogeneous = np.einsum("pij,pj->pi", h, np.column_stack([point_px, np.ones(len(point_px))]))
    visible = (geometry >= 0) & (homogeneous[:, 2] > 0.0)
    position_m[visible] = homogeneous[visible, :2] / homogeneous[visible, 2:]
    shrink = position_m[visible][:, :, None] * h[visible][:, None, 2, :2]
    jacobian[visible] = (h[visible][:, :2, :2] - shrink) / homogeneous[visible, 2][:, None, None]


def onto_road(foot: Floats, geometry: Ints32, position_m: Floats, by_clearance: Floats) -> None:
    """Twin of `kernels.ground.onto_road`."""
    by_clearance[:] = 0.0
    row = foot[geometry]
    away = position_m - row[:, :2]
    distance = np.hypot(*away.T)
    known = (geometry >= 0) & np.isfinite(row).all(axis=1) & (distance > 0.0)
    away, distance, row = away[known], distance[known], row[known]
    bumper = distance * row[:, 3] / row[:, 2]
    position_m[known] -= (np.minimum(bumper, row[:, 4]) / distance)[:, None] * away
    by_clearance[known] = np.where((bumper < row[:, 4])[:, None], -away / row[:, 2:3], 0.0)


def speed_by_homography(
    image_to_ground: Floats,
    offset: Ints,
    geometry: Ints32,
    point_px: Floats,
    gain: Floats,
    heading_rad: Floats,
    out: Floats,
) -> None:
    """Twin of `kernels.ground.speed_by_homography`: the derivative of every position by the homography."""
    out[:] = np.nan
    for n in np.flatnonzero(geometry >= 0):
        rows = np.arange(offset[n], offset[n + 1])
        rows = rows[gain[rows] != 0.0]
        q = np.column_stack([point_px[rows], np.ones(len(rows))])
        x, y, w = image_to_ground[geometry[n]] @ q.T
        toward = np.array([np.cos(heading_rad[n]), np.sin(heading_rad[n])])
        along = (toward[0] * x + toward[1] * y) / w
        by_row = [q * toward[0], q * toward[1], -q * along[:, None]]
        out[n] = np.concatenate([(gain[rows] / w) @ part for part in by_row])


def deviation(jacobian: Floats, along: Floats, noise: tuple[float, ...]) -> Floats:
    """Twin of `kernels.ground.deviation`, for P positions: jacobian (P, 2, 2) f8."""
    pixel = np.einsum("k,pkj->pj", along, jacobian)
    return np.asarray(np.sqrt((pixel**2).sum(axis=1) * noise[0] ** 2 + noise[1] ** 2))
