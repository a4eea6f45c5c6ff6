"""Inputs that the tests of the kernels share, and the comparison of a kernel with its twin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kernels.letterbox import Picture, Plane
from kernels.speed import Points

HOMOGRAPHIES = np.array(
    [[[0.02, 0.001, -12.0], [0.0, -0.03, 40.0], [0.0, 0.0021, -0.2]], [[0.01, 0, -5], [0, -0.02, 30], [0, 0.001, 0.1]]]
)
LENS = np.array([[1000.0, 540, 540, -0.2, 0.03], [900.0, 500, 500, 0.0, 0.0]])
FOOT = np.array([[1.0, -2.0, 8.0, 0.2, 0.5], [np.nan] * 5])


def on_cpu(kernel: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Call `kernel` with copies of its arguments; returns its arrays after the call, then its result if it has one."""
    copies = [argument.copy(order="K") if isinstance(argument, np.ndarray) else argument for argument in arguments]
    result = kernel(*copies)
    return [copy for copy in copies if isinstance(copy, np.ndarray)] + ([] if result is None else [result])


def compare(
    kernel: Callable[..., Any], twin: Callable[..., Any], *arguments: Any, rtol: float = 0.0, atol: float = 0.0
) -> list[Any]:
    """What `on_cpu` returns for the kernel, checked against its twin's."""
    found = on_cpu(kernel, *arguments)
    for mine, expected in zip(found, on_cpu(twin, *arguments), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=rtol, atol=atol)
    return found


def points(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two cameras or of no camera, and image points: some above the horizon, some nan."""
    rng = np.random.default_rng(n)
    point_px = rng.uniform(0, 1080, (n, 2))
    point_px[rng.random(n) < 0.05] = np.nan
    return rng.integers(-1, 2, n).astype(np.int32), point_px


def ragged(tracks: int) -> tuple[np.ndarray, Points]:
    """Tracks of 0 to 59 points with gaps, outliers and nan; the times of one do not ascend."""
    rng = np.random.default_rng(tracks)
    sizes = rng.integers(0, 60, tracks)
    offset, count = np.cumsum([0, *sizes]), int(sizes.sum())
    t_s = np.concatenate([np.cumsum(rng.choice([0.04, 0.08, 0.4], n, p=[0.7, 0.25, 0.05])) for n in sizes] or [[]])
    velocity = np.repeat(rng.normal(0, 15, (tracks, 2)), sizes, axis=0)
    position_m = velocity * t_s[:, None] + rng.normal(0, 0.1, (count, 2)) + rng.uniform(-50, 50, 2)
    position_m[rng.random(count) < 0.1] += 3.0
    usable = rng.random(count) < 0.9
    position_m[~usable] = np.nan
    if tracks > 1:
        t_s[offset[1] : offset[2]] = 1.0
    return offset, Points(t_s, position_m, rng.uniform(0.005, 0.1, (count, 2, 2)), usable)


def make_picture(width: int, height: int, *, interleaved: bool, seed: int = 0) -> Picture:
    """Y'CbCr 4:2:0 noise, in rows longer than the image, as libavcodec makes them."""
    rng = np.random.default_rng(seed)
    luma = Plane(rng.integers(0, 256, (height, width + 7), np.uint8), 1, 0)
    chroma = rng.integers(0, 256, (2, -(-height // 2), 2 * -(-width // 2) + 6), np.uint8)
    if interleaved:
        return Picture(luma, Plane(chroma[0], 2, 0), Plane(chroma[0], 2, 1))
    return Picture(luma, Plane(chroma[0], 1, 0), Plane(chroma[1], 1, 0))
