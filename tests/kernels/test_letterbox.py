"""The letterbox kernel equals its twin and scales known signals correctly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import letterbox as kernel
from kernels.letterbox import Colour, Geometry, Picture, Plane, taps
from kernels.reference import letterbox as twin
from tests.kernels.compare import compare, make_picture

PLAIN = Colour(
    np.array([[1, 0, 1.4], [1, -0.34, -0.71], [1, 1.77, 0]], np.float32),
    np.array([-179.2, 134.4, -226.6], np.float32),
    np.array([1 / 58, 1 / 57, 1 / 56], np.float32),
    np.array([-2.1, -2.0, -1.8], np.float32),
    np.array([0.5, 0.25, 0.125], np.float32),
)


def make_geometry(box: tuple[int, int, int, int], size: tuple[int, int], picture: tuple[int, int]) -> Geometry:
    left, top, right, bottom = box
    half = (-(-picture[0] // 2), -(-picture[1] // 2))
    return Geometry(
        taps(top, bottom, picture[1], size[1]),
        taps(left, right, picture[0], size[0]),
        taps(top / 2, min(bottom / 2, half[1]), half[1], size[1]),
        taps(left / 2, min(right / 2, half[0]), half[0], size[0]),
        3,
        5,
    )


@pytest.mark.parametrize("interleaved", [False, True], ids=["planar", "nv12"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("size", [(20, 12), (70, 50), (1, 1)], ids=["shrunk", "enlarged", "one pixel"])
def test_kernel_equals_twin(interleaved: bool, layout: str, size: tuple[int, int]) -> None:
    picture = make_picture(61, 45, interleaved=interleaved)
    geometry = make_geometry((4, 6, 60, 44), size, (61, 45))
    out = np.full((3, 60, 80) if layout == "nchw" else (60, 80, 3), np.nan, np.float32)
    out = out if layout == "nchw" else out.transpose(2, 0, 1)
    compare(kernel.letterbox, twin.letterbox, picture, geometry, PLAIN, out, rtol=1e-7, atol=2e-5)


def test_bytes_are_rounded_and_clipped() -> None:
    picture = make_picture(32, 16, interleaved=False)
    steep = Colour(PLAIN.matrix * 3, PLAIN.bias * 3, np.ones(3, np.float32), np.full(3, 0.5, np.float32), PLAIN.pad)
    got, want = np.empty((3, 30, 40), np.uint8), np.empty((3, 30, 40))
    geometry = make_geometry((0, 0, 32, 16), (20, 10), (32, 16))
    kernel.letterbox(picture, geometry, steep, got)
    twin.letterbox(picture, geometry, steep, want)
    assert {0, 255} <= set(got.ravel().tolist())
    assert np.abs(got - np.floor(want)).max() <= 1
    assert (got == np.floor(want)).mean() > 0.999


def test_a_region_equals_the_same_image_cropped_first() -> None:
    picture = make_picture(64, 48, interleaved=False)
    planes = (np.ascontiguousarray(p.samples[8 // s :, 16 // s :]) for p, s in zip(picture, (1, 2, 2), strict=True))
    part = Picture(*(Plane(samples, 1, 0) for samples in planes))
    whole, cut = np.empty((3, 40, 40), np.float32), np.empty((3, 40, 40), np.float32)
    kernel.letterbox(picture, make_geometry((16, 8, 48, 40), (14, 12), (64, 48)), PLAIN, whole)
    kernel.letterbox(part, make_geometry((0, 0, 32, 32), (14, 12), (48, 40)), PLAIN, cut)
    np.testing.assert_allclose(whole, cut, atol=1e-5)


SHARE = st.floats(0, 1, allow_subnormal=False)


@given(st.integers(1, 300), st.integers(1, 200), SHARE, SHARE)
def test_the_weights_of_every_output_sum_to_one_and_stay_on_the_line(limit: int, size: int, a: float, b: float) -> None:
    begin, end = sorted((a * limit, b * limit))
    if end - begin < 1e-6:
        return
    got = taps(begin, end, limit, size)
    np.testing.assert_allclose(got.weight.sum(axis=1), 1, atol=1e-5)
    assert got.weight.min() >= 0
    assert got.first.min() >= 0
    assert got.first.max() + got.weight.shape[1] <= limit


def line(of: kernel.Taps, source: np.ndarray) -> np.ndarray:
    return np.array([w @ source[f : f + len(w)] for f, w in zip(of.first, of.weight, strict=True)])


def test_shrinking_averages_the_area() -> None:
    source = np.array([0, 0, 90, 0, 0, 30.0])
    np.testing.assert_allclose(line(taps(0, 6, 6, 2), source), [30, 10], atol=1e-4)
    np.testing.assert_allclose(line(taps(0, 6, 6, 4), source), [0, 60, 0, 20], atol=1e-4)


def test_enlarging_interpolates_between_neighbours() -> None:
    got = line(taps(0, 2, 2, 4), np.array([0, 100.0]))
    np.testing.assert_allclose(got, [0, 25, 75, 100], atol=1e-4)


def test_scaling_to_the_same_size_changes_nothing() -> None:
    source = np.random.default_rng(1).uniform(0, 255, 50)
    np.testing.assert_allclose(line(taps(0, 50, 50, 50), source), source, rtol=1e-6)


@pytest.mark.parametrize("bad", [(3, 3, 9, 4), (-1, 3, 9, 4), (0, 10, 9, 4), (0, 9, 9, 0), (float("nan"), 9, 9, 4)])
def test_taps_raises_for_an_interval_that_is_empty_or_leaves_the_line(bad: tuple[float, float, int, int]) -> None:
    with pytest.raises(ValueError, match="cannot scale"):
        taps(*bad)
