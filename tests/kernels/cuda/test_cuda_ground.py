"""Ground projection on the GPU equals the CPU kernel and the twin."""

from __future__ import annotations

import numpy as np
import pytest

import kernels.cuda.ground as gpu
import kernels.ground as kernel
import kernels.reference.ground as twin
from tests.kernels.cuda.runs import check

HOMOGRAPHIES = np.array(
    [[[0.02, 0.001, -12.0], [0.0, -0.03, 40.0], [0.0, 0.0021, -0.2]], [[0.01, 0, -5], [0, -0.02, 30], [0, 0.001, 0.1]]]
)
SIZES = pytest.mark.parametrize("n", [0, 1, 300])


def points(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two cameras or of no camera, and image points: some above the horizon, some nan."""
    rng = np.random.default_rng(n)
    point_px = rng.uniform(0, 1080, (n, 2))
    point_px[rng.random(n) < 0.05] = np.nan
    return rng.integers(-1, 2, n).astype(np.int32), point_px


@SIZES
def test_undistort(n: int) -> None:
    lens = np.array([[1000.0, 540, 540, -0.2, 0.03], [900.0, 500, 500, 0.0, 0.0]])
    check(kernel.undistort, twin.undistort, gpu.undistort, lens, *points(n))


@SIZES
def test_to_ground(n: int) -> None:
    room = np.zeros((n, 2)), np.zeros((n, 2, 2))
    *_, position_m, _ = check(kernel.to_ground, twin.to_ground, gpu.to_ground, HOMOGRAPHIES, *points(n), *room)
    assert n < 300 or (np.isnan(position_m).any() and np.isfinite(position_m).any())


@SIZES
def test_onto_road(n: int) -> None:
    foot = np.array([[1.0, -2.0, 8.0, 0.2, 0.5], [np.nan] * 5])
    geometry, point_px = points(n)
    check(kernel.onto_road, twin.onto_road, gpu.onto_road, foot, geometry, point_px / 20, np.ones((n, 2)))


@SIZES
def test_speed_by_homography(n: int) -> None:
    rng = np.random.default_rng(n)
    offset = np.cumsum([0, *rng.integers(1, 12, n)])
    geometry, heading_rad = rng.integers(-1, 2, n).astype(np.int32), rng.uniform(-3, 3, n)
    point_px, gain = rng.uniform(300, 1000, (offset[-1], 2)), rng.normal(0, 1, offset[-1])
    gain[rng.random(len(gain)) < 0.2] = 0.0
    arguments = (HOMOGRAPHIES, offset, geometry, point_px, gain, heading_rad, np.zeros((n, 9)))
    check(kernel.speed_by_homography, twin.speed_by_homography, gpu.speed_by_homography, *arguments)
