"""Twins of `kernels.ground`: whole arrays at once."""

from __future__ import annotations

import numpy as np

from kernels.ground import UNDISTORT_ROUNDS, Floats, Ints, Ints32


def undistort(lens: Floats, geometry: Ints32, point_px: Floats) -> None:
    """Twin of `kernels.ground.undistort`."""
    known = geometry >= 0
    row = lens[geometry[known]]
    focal, centre = row[:, :1], row[:, 1:3]
    seen = (point_px[known] - centre) / focal
    straight = seen
    for _ in range(UNDISTORT_ROUNDS):
        square = (straight**2).sum(axis=1, keepdims=True)
        straight = seen / (1.0 + square * (row[:, 3:4] + square * row[:, 4:5]))
    bent = (row[:, 3:] != 0.0).any(axis=1, keepdims=True)
    point_px[known] = np.where(bent, straight * focal + centre, point_px[known])


def to_ground(
    image_to_ground: Floats, geometry: Ints32, point_px: Floats, position_m: Floats, jacobian: Floats
) -> None:
    """Twin of `kernels.ground.to_ground`."""
    position_m[:], jacobian[:] = np.nan, np.nan
    h = image_to_ground[geometry]
    lifted = np.einsum("pij,pj->pi", h, np.column_stack([point_px, np.ones(len(point_px))]))
    seen = (geometry >= 0) & (lifted[:, 2] > 0.0)
    position_m[seen] = lifted[seen, :2] / lifted[seen, 2:]
    shrink = position_m[seen][:, :, None] * h[seen][:, None, 2, :2]
    jacobian[seen] = (h[seen][:, :2, :2] - shrink) / lifted[seen, 2][:, None, None]


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
    """Twin of `kernels.ground.speed_by_homography`, by the derivative of every position after the homography."""
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
    """Twin of `kernels.ground.deviation`, of many positions."""
    pixel = np.einsum("k,pkj->pj", along, jacobian)
    return np.asarray(np.sqrt((pixel**2).sum(axis=1) * noise[0] ** 2 + noise[1] ** 2))
