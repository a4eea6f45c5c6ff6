"""The zone kernels on the GPU equal the CPU kernels and the twins."""

from __future__ import annotations

import numpy as np
import pytest

import kernels.cuda.zones as gpu
import kernels.reference.zones as twin
import kernels.zones as kernel
from tests.kernels.cuda.runs import check

SIZES = pytest.mark.parametrize("n", [0, 1, 300])
GROUPS = np.array([0, 3, 3, 4], np.int32)
"""Three groups: of three, of no and of one polygon or line."""


def points(rng: np.random.Generator, n: int) -> np.ndarray:
    """Random points, some of them on grid lines, where the borders are, and some nan."""
    point_px = rng.uniform(-1, 11, (n, 2))
    point_px[::3] = np.round(point_px[::3])
    point_px[::17, 0] = np.nan
    return point_px


@SIZES
def test_inside(n: int) -> None:
    rng = np.random.default_rng(n)
    corner_px = np.concatenate([[[0.0, 0], [10, 0], [10, 10], [5, 2], [0, 10]], rng.uniform(0, 10, (12, 2))])
    polygons = kernel.Polygons(corner_px, np.array([0, 5, 8, 13, 17], np.int32), GROUPS)
    group = rng.integers(0, 3, n).astype(np.int32)
    answer = check(kernel.inside, twin.inside, gpu.inside, points(rng, n), group, polygons, np.ones((n, 3), np.bool_))
    assert n < 300 or 0 < answer[-1].sum() < answer[-1].size


@SIZES
def test_find_crossings(n: int) -> None:
    rng = np.random.default_rng(n)
    segments = kernel.Segments(np.round(rng.uniform(0, 10, (4, 4))), GROUPS)
    group, room = rng.integers(0, 3, n).astype(np.int32), (np.zeros((n, 3)), np.ones((n, 3), np.int8))
    arguments = (points(rng, n), points(rng, n), group, segments, *room)
    *_, direction = check(kernel.find_crossings, twin.find_crossings, gpu.find_crossings, *arguments)
    assert n < 300 or {-1, 0, 1} == set(direction.ravel().tolist())
