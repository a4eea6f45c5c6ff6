"""Speeds on the GPU equal the CPU kernel and the twin."""

from __future__ import annotations

import numpy as np
import pytest

import kernels.cuda.speed as gpu
import kernels.reference.speed as twin
import kernels.speed as kernel
from kernels.speed import COLUMNS, WORK_ROWS, Fits, Points
from tests.kernels.cuda.runs import on_gpu, to_gpu

NOISE = (1.0, 0.1)


def ragged(tracks: int) -> tuple[np.ndarray, Points]:
    """Tracks of 0 to 59 points with gaps, outliers and nan; the times of one do not ascend."""
    rng = np.random.default_rng(tracks)
    sizes = rng.integers(0, 60, tracks)
    offset, count = np.cumsum([0, *sizes]), int(sizes.sum())
    t_s = np.concatenate([np.cumsum(rng.choice([0.04, 0.08, 0.4], n, p=[0.7, 0.25, 0.05])) for n in sizes] or [[]])
    velocity = np.repeat(rng.normal(0, 15, (tracks, 2)), sizes, axis=0)
    position_m = velocity * t_s[:, None] + rng.normal(0, 0.1, (count, 2))
    position_m[rng.random(count) < 0.1] += 3.0
    usable = rng.random(count) < 0.9
    position_m[~usable] = np.nan
    if tracks > 1:
        t_s[offset[1] : offset[2]] = 1.0
    return offset, Points(t_s, position_m, rng.uniform(0.005, 0.1, (count, 2, 2)), usable)


def fit_on_gpu(offset: np.ndarray, points: Points) -> Fits:
    """The GPU's fit; the outputs are filled with 1e9, so an element that is not written shows."""
    count = len(points.t_s)
    room = (np.empty((WORK_ROWS, count)), np.full((len(offset) - 1, COLUMNS), 1e9), np.full(count, 1e9))

    def fit(offset: object, work: object, table: object, gain: object) -> None:
        gpu.fit_speed(offset, to_gpu(points), NOISE, gpu.FitBuffers(work, table, gain))

    _, _, table, gain = on_gpu(fit, offset, *room)
    return Fits(*table.T, gain)  # type: ignore[call-arg]


@pytest.mark.parametrize("tracks", [0, 1, 2, 40])
def test_fit_speed(tracks: int) -> None:
    offset, points = ragged(tracks)
    found = fit_on_gpu(offset, points)
    for module, rtol in ((kernel, 1e-7), (twin, 1e-5)):
        wanted = module.fit_speed(offset, *points, NOISE)
        for name in Fits._fields:
            mine, theirs = getattr(found, name), getattr(wanted, name)
            np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=rtol, err_msg=name)
    assert tracks < 40 or 0 < np.isfinite(found.speed_mps).sum() < tracks


@pytest.mark.parametrize("tracks", [0, 1, 2, 20])
def test_momentary_velocity(tracks: int) -> None:
    offset, points = ragged(tracks)
    wanted, count = np.random.default_rng(tracks).random(len(points.t_s)) < 0.5, len(points.t_s)
    asked, setting = points._replace(chosen=wanted), (1.0, *NOISE)

    def answer(offset: object, velocity_mps: object, sigma_mps: object) -> None:
        gpu.momentary_velocity(offset, to_gpu(asked), setting, velocity_mps, sigma_mps)

    _, velocity_mps, sigma_mps = on_gpu(answer, offset, np.zeros((count, 2)), np.zeros(count))
    for module in (kernel, twin):
        velocity, sigma = np.zeros((count, 2)), np.zeros(count)
        module.momentary_velocity(offset, *asked, setting, velocity, sigma)
        np.testing.assert_allclose(velocity_mps, velocity, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(sigma_mps, sigma, rtol=1e-9, atol=1e-9)


def test_a_track_has_the_same_fit_alone_and_in_a_batch() -> None:
    offset, points = ragged(40)
    batch = fit_on_gpu(offset, points)
    rows = slice(offset[20], offset[21])
    alone = fit_on_gpu(np.array([0, rows.stop - rows.start]), Points(*(array[rows] for array in points)))
    for name in Fits._fields[:-1]:
        np.testing.assert_array_equal(getattr(alone, name)[0], getattr(batch, name)[20], err_msg=name)
