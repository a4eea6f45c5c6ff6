"""A camera that is knocked, comes back, and a lorry, night and traffic that only look like it."""

from __future__ import annotations

import numpy as np
import pytest

from engine.calibrate.moved import MovedBounds, View, ViewGuard
from engine.errors import CalibrationError

SHAPE = (180, 320)


def scene(shift_px: tuple[float, float] = (0.0, 0.0), turn_rad: float = 0.0, zoom: float = 1.0) -> np.ndarray:
    """A street-like texture, sampled from a smooth function so that any fraction of a pixel can be shifted."""
    rng = np.random.default_rng(7)
    v, u = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
    u, v = u - SHAPE[1] / 2, v - SHAPE[0] / 2
    x = (u * np.cos(turn_rad) + v * np.sin(turn_rad)) / zoom - shift_px[0]
    y = (v * np.cos(turn_rad) - u * np.sin(turn_rad)) / zoom - shift_px[1]
    picture = np.zeros(SHAPE)
    for _ in range(400):
        place, size = rng.uniform(-1, 1, 2) * [175, 105], rng.uniform(1.5, 6, 2)
        picture += rng.normal(0, 40) * np.exp(-(((x - place[0]) / size[0]) ** 2) - ((y - place[1]) / size[1]) ** 2)
    return picture + 120


def camera_noise(picture: np.ndarray, seed: int) -> np.ndarray:
    return picture + np.random.default_rng(seed).normal(0, 3, picture.shape)


def verdict(guard: ViewGuard, picture: np.ndarray, times: int = 5) -> View:
    for seed in range(times):
        guard.look(camera_noise(picture, seed))
    return guard.view


def test_the_same_view_in_another_light_is_the_same() -> None:
    guard = ViewGuard(scene())
    assert verdict(guard, 0.6 * scene() + 40) == View.SAME
    assert guard.drift_px < 0.6


@pytest.mark.parametrize(
    "changes", [{"shift_px": (2.5, 0.0)}, {"shift_px": (0.0, -9.0)}, {"turn_rad": 0.04}, {"zoom": 1.05}]
)
def test_a_knocked_camera_has_moved(changes: dict[str, object]) -> None:
    assert verdict(ViewGuard(scene()), scene(**changes)) == View.MOVED


def test_the_drift_is_told_in_pixels() -> None:
    guard = ViewGuard(scene())
    guard.look(scene((3.3, -1.5)))
    assert guard.drift_px == pytest.approx(np.hypot(3.3, 1.5), abs=0.3)


def test_it_comes_back_by_itself_when_the_view_does() -> None:
    guard = ViewGuard(scene())
    assert verdict(guard, scene((6.0, 2.0))) == View.MOVED
    assert verdict(guard, scene(), times=4) == View.MOVED
    assert verdict(guard, scene(), times=5) == View.SAME


def test_one_picture_decides_nothing() -> None:
    guard = ViewGuard(scene())
    assert verdict(guard, scene()) == View.SAME
    assert guard.look(scene((8.0, 0.0))) == View.SAME


def test_traffic_in_some_tiles_is_no_move() -> None:
    guard, rng = ViewGuard(scene()), np.random.default_rng(3)
    busy = scene()
    for k in range(8):
        y, x = rng.integers(40, 140), 30 + 35 * k
        busy[y : y + 25, x : x + 25] = rng.uniform(0, 255)
    assert verdict(guard, busy) == View.SAME


def test_a_black_picture_is_unknown_not_moved() -> None:
    guard = ViewGuard(scene())
    assert verdict(guard, np.zeros(SHAPE)) == View.UNKNOWN
    assert np.isnan(guard.drift_px)


def test_pictures_of_another_size_and_tiny_stills_are_refused() -> None:
    with pytest.raises(CalibrationError, match="cannot be compared"):
        ViewGuard(scene()).look(np.zeros((90, 160)))
    with pytest.raises(CalibrationError, match="at least"):
        ViewGuard(np.zeros((10, 10)), MovedBounds())
