"""The ground, speed and outline kernels equal their twins and give known answers."""

from __future__ import annotations

import numpy as np
import pytest

from kernels import ground, outline, speed
from kernels.reference import ground as ground_twin
from kernels.reference import outline as outline_twin
from kernels.reference import speed as speed_twin

HOMOGRAPHIES = np.array(
    [[[0.02, 0.001, -12.0], [0.0, -0.03, 40.0], [0.0, 0.0021, -0.2]], [[0.01, 0, -5], [0, -0.02, 30], [0, 0.001, 0.1]]]
)


def points(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    point_px = rng.uniform(0, 1080, (n, 2))
    point_px[rng.random(n) < 0.05] = np.nan
    return rng.integers(-1, 2, n).astype(np.int32), point_px


def on_ground(module: object, geometry: np.ndarray, point_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    position_m, jacobian = np.zeros((len(geometry), 2)), np.zeros((len(geometry), 2, 2))
    module.to_ground(HOMOGRAPHIES, geometry, point_px, position_m, jacobian)  # type: ignore[attr-defined]
    return position_m, jacobian


@pytest.mark.parametrize("n", [0, 1, 500])
def test_to_ground_equals_its_twin(n: int) -> None:
    geometry, point_px = points(np.random.default_rng(n), n)
    for mine, twin in zip(
        on_ground(ground, geometry, point_px), on_ground(ground_twin, geometry, point_px), strict=True
    ):
        np.testing.assert_allclose(mine, twin, rtol=1e-9)


def test_the_jacobian_is_the_derivative_of_the_position() -> None:
    geometry, point_px = np.zeros(1, np.int32), np.array([[700.0, 500.0]])
    _, jacobian = on_ground(ground, geometry, point_px)
    for axis in range(2):
        step = np.eye(2)[axis] * 1e-3
        ahead, behind = (on_ground(ground, geometry, point_px + k * step)[0][0] for k in (1, -1))
        assert jacobian[0, :, axis] == pytest.approx((ahead - behind) / 2e-3, rel=1e-6)


def test_a_point_above_the_horizon_has_no_ground_point() -> None:
    position_m, jacobian = on_ground(ground, np.zeros(1, np.int32), np.array([[500.0, 50.0]]))
    assert np.isnan(position_m).all()
    assert np.isnan(jacobian).all()


@pytest.mark.parametrize("n", [0, 1, 300])
def test_undistort_equals_its_twin(n: int) -> None:
    geometry, mine = points(np.random.default_rng(n), n)
    twin, lens = mine.copy(), np.array([[1000.0, 540, 540, -0.2, 0.03], [900.0, 500, 500, 0.0, 0.0]])
    ground.undistort(lens, geometry, mine)
    ground_twin.undistort(lens, geometry, twin)
    np.testing.assert_allclose(mine, twin, rtol=1e-9)


def test_undistort_inverts_the_polynomial() -> None:
    straight = np.array([[0.3, -0.2]])
    square = (straight**2).sum()
    seen_px = straight * (1 - 0.2 * square + 0.03 * square**2) * 1000 + 540
    ground.undistort(np.array([[1000.0, 540, 540, -0.2, 0.03]]), np.zeros(1, np.int32), seen_px)
    assert seen_px == pytest.approx(straight * 1000 + 540, abs=1e-3)


@pytest.mark.parametrize("n", [0, 1, 300])
def test_onto_road_equals_its_twin(n: int) -> None:
    rng = np.random.default_rng(n)
    foot = np.array([[1.0, -2.0, 8.0, 0.2, 0.5], [np.nan] * 5])
    geometry, mine = rng.integers(-1, 2, n).astype(np.int32), rng.uniform(-50, 50, (n, 2))
    twin, slope, twin_slope = mine.copy(), np.ones((n, 2)), np.ones((n, 2))
    ground.onto_road(foot, geometry, mine, slope)
    ground_twin.onto_road(foot, geometry, twin, twin_slope)
    np.testing.assert_allclose(mine, twin, rtol=1e-12)
    np.testing.assert_allclose(slope, twin_slope, rtol=1e-12)


def ragged(rng: np.random.Generator, tracks: int) -> tuple[np.ndarray, ...]:
    """Tracks of 0 to 59 points with outliers, unusable points (nan) and gaps."""
    sizes = rng.integers(0, 60, tracks)
    offset = np.cumsum([0, *sizes])
    t = np.concatenate([np.cumsum(rng.choice([0.04, 0.08, 0.4], n, p=[0.7, 0.25, 0.05])) for n in sizes] or [[]])
    velocity = np.repeat(rng.normal(0, 15, (tracks, 2)), sizes, axis=0)
    position = velocity * t[:, None] + rng.normal(0, 0.1, (len(t), 2)) + rng.uniform(-50, 50, 2)
    position[rng.random(len(t)) < 0.1] += 3.0
    usable = rng.random(len(t)) < 0.9
    position[~usable] = np.nan
    return offset, t, position, rng.uniform(0.005, 0.1, (len(t), 2, 2)), usable


@pytest.mark.parametrize("tracks", [0, 1, 40, 700])
def test_fit_speed_equals_its_twin(tracks: int) -> None:
    arrays = ragged(np.random.default_rng(tracks), tracks)
    mine, twin = speed.fit_speed(*arrays, (1.0, 0.1)), speed_twin.fit_speed(*arrays, (1.0, 0.1))
    for name in speed.Fits._fields:
        tolerance = {"rtol": 1e-5, "atol": 1e-6}
        np.testing.assert_allclose(getattr(mine, name), getattr(twin, name), **tolerance, err_msg=name)


def test_a_track_has_the_same_fit_alone_and_in_a_batch() -> None:
    offset, *arrays = ragged(np.random.default_rng(5), 900)
    batch = speed.fit_speed(offset, *arrays, (1.0, 0.1))
    for n in (0, 450, 899):
        rows = slice(offset[n], offset[n + 1])
        alone = speed.fit_speed(np.array([0, rows.stop - rows.start]), *(a[rows] for a in arrays), (1.0, 0.1))
        for name in speed.Fits._fields[:-1]:
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(batch, name)[n], err_msg=name)


def test_a_track_whose_times_do_not_ascend_has_no_speed() -> None:
    t = np.array([0.0, 0.1, 0.1, 0.2, 0.3, 0.4])
    position = np.column_stack([10 * t, 0 * t])
    fit = speed.fit_speed(np.array([0, 6]), t, position, np.full((6, 2, 2), 0.01), np.ones(6, bool), (1.0, 0.1))
    assert np.isnan(fit.speed_mps[0])
    assert not fit.gain.any()


def test_the_gain_sums_the_positions_to_the_speed() -> None:
    offset, t, position, jacobian, usable = ragged(np.random.default_rng(9), 30)
    fit = speed.fit_speed(offset, t, position, jacobian, usable, (1.0, 0.1))
    for n in np.flatnonzero(np.isfinite(fit.speed_mps)):
        rows = slice(offset[n], offset[n + 1])
        velocity = fit.gain[rows] @ np.nan_to_num(position[rows])
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
    fit = speed.fit_speed(np.arange(tracks + 1) * n, t, position, jacobian, np.ones(tracks * n, bool), (1.0, 0.1))
    inside = np.abs(fit.speed_mps - 20.0) < 1.96 * fit.sigma_mps
    assert covered < inside.mean() < covered + 0.06
    assert np.abs(np.mean(fit.speed_mps) - 20.0) < 0.05


@pytest.mark.parametrize("tracks", [0, 1, 40])
def test_momentary_velocity_equals_its_twin(tracks: int) -> None:
    rng = np.random.default_rng(tracks)
    offset, t, position, jacobian, _ = ragged(rng, tracks)
    wanted, results = rng.random(len(t)) < 0.5, []
    for module in (speed, speed_twin):
        velocity, sigma = np.zeros((len(t), 2)), np.zeros(len(t))
        module.momentary_velocity(offset, t, position, jacobian, wanted, (1.0, 1.0, 0.1), velocity, sigma)
        results.append((velocity, sigma))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("tracks", [0, 1, 40])
def test_speed_by_homography_equals_its_twin_and_the_finite_difference(tracks: int) -> None:
    rng = np.random.default_rng(tracks)
    sizes = rng.integers(1, 30, tracks)
    offset, geometry = np.cumsum([0, *sizes]), rng.integers(-1, 2, tracks).astype(np.int32)
    point_px, gain = rng.uniform(300, 1000, (offset[-1], 2)), rng.normal(0, 1, offset[-1])
    heading, out, twin = rng.uniform(-3, 3, tracks), np.zeros((tracks, 9)), np.zeros((tracks, 9))
    ground.speed_by_homography(HOMOGRAPHIES, offset, geometry, point_px, gain, heading, out)
    ground_twin.speed_by_homography(HOMOGRAPHIES, offset, geometry, point_px, gain, heading, twin)
    np.testing.assert_allclose(out, twin, rtol=1e-9)
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
    usable, mine, twin = rng.random(n) < 0.9, np.ones(n, np.bool_), np.ones(n, np.bool_)
    width_m[~usable] = np.nan
    outline.oversized(offset, position_m, bearing_rad, width_m, usable, 1.35, mine)
    outline_twin.oversized(offset, position_m, bearing_rad, width_m, usable, 1.35, twin)
    assert mine.tolist() == twin.tolist()
    assert mine.any() == (n > 10)


def test_no_box_is_oversized_without_a_bearing() -> None:
    width_m, out = np.array([2.0] * 9 + [9.0]), np.ones(10, np.bool_)
    at = np.column_stack([np.zeros(10), np.arange(10.0)])
    outline.oversized(np.array([0, 10]), at, np.full(10, np.nan), width_m, np.ones(10, np.bool_), 1.35, out)
    assert not out.any()
    outline.oversized(np.array([0, 10]), at, np.full(10, 1.5), width_m, np.ones(10, np.bool_), 1.35, out)
    assert out.tolist() == [False] * 9 + [True]
