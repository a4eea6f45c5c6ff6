"""Speeds on the GPU equal the CPU kernel and the twin."""

from __future__ import annotations

import numpy as np
import pytest

import kernels.cuda.speed as gpu
import kernels.reference.speed as twin
import kernels.speed as kernel
from kernels.speed import COLUMNS, WORK_ROWS, Fits, Points
from tests.kernels.compare import ragged
from tests.kernels.cuda.runs import on_gpu, to_gpu

NOISE = (1.0, 0.1)


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
            mine, expected = getattr(found, name), getattr(wanted, name)
            np.testing.assert_allclose(mine, expected, rtol=rtol, atol=rtol, err_msg=name)
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
