"""The lamp kernel equals its twin and finds the colours of known lamps."""

from __future__ import annotations

import numpy as np
import pytest

import kernels.lamp as kernel
import kernels.reference.lamp as twin
from kernels.lamp import BLUE, COLUMNS, GREEN, HOUSING, LIT, RED, SATURATED, VALUE, Layout
from kernels.letterbox import Picture, Plane
from tests.kernels.compare import compare, make_picture

BT601 = np.array([[1, 0, 1.402, -179.456], [1, -0.344, -0.714, 135.424], [1, 1.772, 0, -226.816]])
PLAIN_RGB = np.hstack([np.eye(3), np.zeros((3, 1))])


def of_rgb(rgb: np.ndarray) -> tuple[Picture, Layout]:
    """An interleaved RGB image, as a GPU decoder gives it."""
    height, width, _ = rgb.shape
    samples = np.ascontiguousarray(rgb.reshape(height, 3 * width))
    return Picture(*(Plane(samples, 3, channel) for channel in range(3))), Layout(width, height, 1, 1, PLAIN_RGB)


def measure(picture: Picture, layout: Layout, *circles: tuple[float, float, float]) -> np.ndarray:
    """The kernel's answer, checked against the twin's."""
    circle_px = np.array(circles, np.float64).reshape(-1, 3)
    arguments = (picture, layout, circle_px, np.full((len(circle_px), COLUMNS), -1, np.float32))
    return np.asarray(compare(kernel.measure_lamps, twin.measure_lamps, *arguments, rtol=1e-5, atol=1e-4)[-1])


@pytest.mark.parametrize("interleaved", [False, True], ids=["planar", "nv12"])
@pytest.mark.parametrize("count", [0, 1, 40])
def test_kernel_equals_twin(interleaved: bool, count: int) -> None:
    rng = np.random.default_rng(count)
    circles = np.stack([rng.uniform(-5, 66, count), rng.uniform(-5, 50, count), rng.uniform(1, 9, count)], axis=1)
    measure(make_picture(61, 45, interleaved=interleaved), Layout(61, 45, 2, 2, BT601), *map(tuple, circles))


def lamp_picture(colour: tuple[int, int, int], behind: int = 20, radius_px: float = 6.0) -> np.ndarray:
    """(40, 40, 3) u1: a lens of one colour in the centre of a grey housing."""
    rgb = np.full((40, 40, 3), behind, np.uint8)
    y, x = np.mgrid[:40, :40] + 0.5
    rgb[np.hypot(x - 20, y - 20) <= radius_px] = colour
    return rgb


def test_a_lit_lens_has_its_colour_and_is_brighter_than_the_ring() -> None:
    (row,) = measure(*of_rgb(lamp_picture((250, 90, 60))), (20, 20, 5.5))
    np.testing.assert_allclose(row[[RED, GREEN, BLUE, VALUE, HOUSING]], [250, 90, 60, 250, 20])
    assert (row[LIT], row[SATURATED]) == (1, 0)


def test_a_dark_lens_is_not_lit() -> None:
    (row,) = measure(*of_rgb(lamp_picture((30, 25, 22))), (20, 20, 5.5))
    assert (row[LIT], row[SATURATED]) == (0, 0)


def test_a_saturated_lens_has_only_the_colour_of_its_rim() -> None:
    saturated = lamp_picture((255, 255, 255))
    (row,) = measure(*of_rgb(saturated), (20, 20, 5.5))
    assert row[SATURATED] == 1
    assert np.isnan(row[[RED, GREEN, BLUE]]).all()
    y, x = np.mgrid[:40, :40] + 0.5
    rim = (np.hypot(x - 20, y - 20) <= 6) & (np.hypot(x - 20, y - 20) > 4)
    saturated[rim] = (230, 60, 40)
    (row,) = measure(*of_rgb(saturated), (20, 20, 5.5))
    assert 0.3 < row[SATURATED] < 0.9
    np.testing.assert_allclose(row[[RED, GREEN, BLUE]], [230, 60, 40])


def test_a_half_covered_lens_is_half_lit() -> None:
    rgb = lamp_picture((250, 90, 60))
    rgb[:, 20:] = 20
    (row,) = measure(*of_rgb(rgb), (20, 20, 5.5))
    assert row[LIT] == pytest.approx(0.5, abs=0.05)


def test_a_lamp_outside_the_image_has_no_values() -> None:
    (row,) = measure(*of_rgb(lamp_picture((250, 90, 60))), (90, 90, 5))
    assert np.isnan(row[[RED, VALUE, HOUSING]]).all()
    assert (row[LIT], row[SATURATED]) == (0, 0)
