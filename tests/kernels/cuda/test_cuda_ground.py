"""Ground projection on the GPU equals the CPU kernel and the twin."""

from __future__ import annotations

import numpy as np
import pytest

import kernels.cuda.ground as gpu
import kernels.ground as kernel
import kernels.reference.ground as twin
from tests.kernels.compare import FOOT, HOMOGRAPHIES, LENS, points
from tests.kernels.cuda.runs import check

SIZES = pytest.mark.parametrize("n", [0, 1, 300])


@SIZES
def test_undistort(n: int) -> None:
    check(kernel.undistort, twin.undistort, gpu.undistort, LENS, *points(n))


@SIZES
def test_to_ground(n: int) -> None:
    room = np.zeros((n, 2)), np.zeros((n, 2, 2))
    *_, position_m, _ = check(kernel.to_ground, twin.to_ground, gpu.to_ground, HOMOGRAPHIES, *points(n), *room)
    assert n < 300 or (np.isnan(position_m).any() and np.isfinite(position_m).any())


@SIZES
def test_onto_road(n: int) -> None:
    geometry, point_px = points(n)
    check(kernel.onto_road, twin.onto_road, gpu.onto_road, FOOT, geometry, point_px / 20, np.ones((n, 2)))


@SIZES
def test_speed_by_homography(n: int) -> None:
    rng = np.random.default_rng(n)
    offset = np.cumsum([0, *rng.integers(1, 12, n)])
    geometry, heading_rad = rng.integers(-1, 2, n).astype(np.int32), rng.uniform(-3, 3, n)
    point_px, gain = rng.uniform(300, 1000, (offset[-1], 2)), rng.normal(0, 1, offset[-1])
    gain[rng.random(len(gain)) < 0.2] = 0.0
    arguments = (HOMOGRAPHIES, offset, geometry, point_px, gain, heading_rad, np.zeros((n, 9)))
    check(kernel.speed_by_homography, twin.speed_by_homography, gpu.speed_by_homography, *arguments)
