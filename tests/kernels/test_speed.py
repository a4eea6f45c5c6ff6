"""The ground, speed and outline kernels equal their twins and give known answers."""

from __future__ import annotations

import numpy as np
import pytest

from kernels import ground, outline, speed
from kernels.reference import ground as ground_twin
from kernels.reference import outline as outline_twin
from kernels.reference import speed as speed_twin
from tests.kernels.compare import FOOT, HOMOGRAPHIES, LENS, compare, points, ragged

NOISE = (1.0, 0.1)
SIZES = pytest.mark.parametrize("n", [0, 1, 500])


def on_ground(point_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    position_m, jacobian = np.zeros((1, 2)), np.zeros((1, 2, 2))
    ground.to_ground(HOMOGRAPHIES, np.zeros(1, np.int32), point_px, position_m, jacobian)
    return position_m, jacobian


@SIZES
def test_to_ground_equals_its_twin(n: int) -> None:
    room = (np.zeros((n, 2)), np.zeros((n, 2, 2)))
    compare(ground.to_ground, ground_twin.to_ground, HOMOGRAPHIES, *points(n), *room, rtol=1e-9)


def test_the_jacobian_is_the_derivative_of_the_position() -> None:
    point_px = np.array([[700.0, 500.0]])
    _, jacobian = on_ground(point_px)
    for axis in range(2):
        step = np.eye(2)[axis] * 1e-3
        ahead, behind = (on_ground(point_px + k * step)[0][0] for k in (1, -1))
        assert jacobian[0, :, axis] == pytest.approx((ahead - behind) / 2e-3, rel=1e-6)


def test_a_point_above_the_horizon_has_no_ground_point() -> None:
    position_m, jacobian = on_ground(np.array([[500.0, 50.0]]))
    assert np.isnan(position_m).all()
    assert np.isnan(jacobian).all()


@SIZES
def test_undistort_equals_its_twin(n: int) -> None:
    compare(ground.undistort, ground_twin.undistort, LENS, *points(n), rtol=1e-9)


def test_undistort_inverts_the_polynomial() -> None:
    straight = np.array([[0.3, -0.2]])
    square = (straight**2).sum()
    image_px = straight * (1 - 0.2 * square + 0.03 * square**2) * 1000 + 540
    ground.undistort(LENS, np.zeros(1, np.int32), image_px)
    assert image_px == pytest.approx(straight * 1000 + 540, abs=1e-3)


@SIZES
def test_onto_road_equals_its_twin(n: int) -> None:
    geometry, point_px = points(n)
    arguments = (FOOT, geometry, point_px / 20, np.ones((n, 2)))
    compare(ground.onto_road, ground_twin.onto_road, *arguments, rtol=1e-12)


@pytest.mark.parametrize("tracks", [0, 1, 40, 700])
def test_fit_speed_equals_its_twin(tracks: int) -> None:
    offset, batch = ragged(tracks)
    mine, twin = (module.fit_speed(offset, *batch, NOISE) for module in (speed, speed_twin))
    for name in speed.Fits._fields:
        np.testing.assert_allclose(getattr(mine, name), getattr(twin, name), rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_track_has_the_same_fit_alone_and_in_a_batch() -> None:
    offset, arrays = ragged(900)
    batch = speed.fit_speed(offset, *arrays, NOISE)
    for n in (0, 450, 899):
        rows = slice(offset[n], offset[n + 1])
        alone = speed.fit_speed(np.array([0, rows.stop - rows.start]), *(a[rows] for a in arrays), NOISE)
        for name in speed.Fits._fields[:-1]:
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(batch, name)[n], err_msg=name)


def test_a_track_whose_times_do_not_ascend_has_no_speed() -> None:
    t = np.array([0.0, 0.1, 0.1, 0.2, 0.3, 0.4])
    position = np.column_stack([10 * t, 0 * t])
    fit = speed.fit_speed(np.array([0, 6]), t, position, np.full((6, 2, 2), 0.01), np.ones(6, bool), NOISE)
    assert np.isnan(fit.speed_mps[0])
    assert not fit.gain.any()


def test_the_gain_sums_the_positions_to_the_speed() -> None:
    offset, batch = ragged(30)
    fit = speed.fit_speed(offset, *batch, NOISE)
    for n in np.flatnonzero(np.isfinite(fit.speed_mps)):
        rows = slice(offset[n], offset[n + 1])
        velocity = fit.gain[rows] @ np.nan_to_num(batch.position_m[rows])
        assert np.hypot(*velocity) == pytest.approx(fit.speed_mps[n], rel=1e-6)


@pytest.mark.parametrize(("correlation", "covered"), [(0.0, 0.92), (0.5, 0.88), (0.8, 0.82), (0.9, 0.74), (0.95, 0.62)])
def test_the_standard_error_knows_of_correlated_residuals(correlation: float, covered: float) -> None:
    """`covered` of 0.95: the residuals of 60 frames tell too little of a correlation that lasts for a third of them."""
    rng = np.random.default_rng(1)
    tracks, n = 4000, 60
    noise = np.empty((tracks, n))
    noise[:, 0] = rng.normal(0, 0.1, tracks)
    for i in range(1, n):
        noise[:, i] = correlation * noise[:, i - 1] + np.sqrt(1 - correlation**2) * rng.normal(0, 0.1, tracks)
    t = np.tile(np.arange(n) * 0.04, tracks)
    position = np.column_stack([20.0 * t + noise.ravel(), np.zeros(tracks * n)])
    jacobian = np.zeros((tracks * n, 2, 2))
    fit = speed.fit_speed(np.arange(tracks + 1) * n, t, position, jacobian, np.ones(tracks * n, bool), NOISE)
    inside = np.abs(fit.speed_mps - 20.0) < 1.96 * fit.sigma_mps
    assert covered < inside.mean() < covered + 0.06
    assert np.abs(np.mean(fit.speed_mps) - 20.0) < 0.05


@pytest.mark.parametrize("tracks", [0, 1, 40])
def test_momentary_velocity_equals_its_twin(tracks: int) -> None:
    offset, (t, position, jacobian, _) = ragged(tracks)
    wanted = np.random.default_rng(tracks).random(len(t)) < 0.5
    arguments = (offset, t, position, jacobian, wanted, (1.0, *NOISE), np.zeros((len(t), 2)), np.zeros(len(t)))
    compare(speed.momentary_velocity, speed_twin.momentary_velocity, *arguments, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("tracks", [0, 1, 40])
def test_speed_by_homography_equals_its_twin_and_the_finite_difference(tracks: int) -> None:
    rng = np.random.default_rng(tracks)
    sizes = rng.integers(1, 30, tracks)
    offset, geometry = np.cumsum([0, *sizes]), rng.integers(-1, 2, tracks).astype(np.int32)
    point_px, gain = rng.uniform(300, 1000, (offset[-1], 2)), rng.normal(0, 1, offset[-1])
    heading = rng.uniform(-3, 3, tracks)
    arguments = (HOMOGRAPHIES, offset, geometry, point_px, gain, heading, np.zeros((tracks, 9)))
    *_, out = compare(ground.speed_by_homography, ground_twin.speed_by_homography, *arguments, rtol=1e-9)
    for n in np.flatnonzero(geometry >= 0)[:3]:
        rows = slice(offset[n], offset[n + 1])
        h, toward = HOMOGRAPHIES[geometry[n]], np.array([np.cos(heading[n]), np.sin(heading[n])])

        def speed_by(h: np.ndarray, rows: slice = rows, toward: np.ndarray = toward) -> float:
            q = np.column_stack([point_px[rows], np.ones(rows.stop - rows.start)]) @ h.T
            return float(gain[rows] @ (q[:, :2] / q[:, 2:]) @ toward)

        for k in range(9):
            step = np.zeros(9)
            step[k] = 1e-7
            slope = (speed_by(h + step.reshape(3, 3)) - speed_by(h - step.reshape(3, 3))) / 2e-7
            assert out[n, k] == pytest.approx(slope, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("sizes", [[], [0], [4], [5], [60, 0, 3, 17]])
def test_oversized_equals_its_twin(sizes: list[int]) -> None:
    rng = np.random.default_rng(len(sizes))
    offset, n = np.cumsum([0, *sizes]), sum(sizes)
    position_m, bearing_rad, width_m = rng.normal(0, 20, (n, 2)), rng.uniform(-3, 3, n), rng.uniform(1.5, 6, n)
    usable = rng.random(n) < 0.9
    width_m[~usable] = np.nan
    arguments = (offset, position_m, bearing_rad, width_m, usable, 1.35, np.ones(n, np.bool_))
    assert compare(outline.oversized, outline_twin.oversized, *arguments)[-1].any() == (n > 10)


def test_no_box_is_oversized_without_a_bearing() -> None:
    width_m, out = np.array([2.0] * 9 + [9.0]), np.ones(10, np.bool_)
    at = np.column_stack([np.zeros(10), np.arange(10.0)])
    outline.oversized(np.array([0, 10]), at, np.full(10, np.nan), width_m, np.ones(10, np.bool_), 1.35, out)
    assert not out.any()
    outline.oversized(np.array([0, 10]), at, np.full(10, 1.5), width_m, np.ones(10, np.bool_), 1.35, out)
    assert out.tolist() == [False] * 9 + [True]
