"""The Kalman filter of a box equals the textbook's matrices and does not depend on how time is divided."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import Floats, kalman
from kernels.reference import kalman as twin

FINITE = st.floats(-1e3, 1e3)
BOX = np.array([100.0, 50.0, 40.0, 30.0])


def new_state() -> tuple[Floats, Floats]:
    return np.concatenate([BOX, np.zeros(4)]), np.array([0.01, 0.0, 4.0, 0.01, 0.0, 4.0])


@settings(max_examples=100)
@given(steps=st.lists(st.tuples(st.floats(0, 3), FINITE, FINITE, FINITE, FINITE), max_size=8))
def test_the_filter_equals_its_twin(steps: list[tuple[float, ...]]) -> None:
    mean, covariance = new_state()
    mean_twin, covariance_twin = new_state()
    for dt_s, *measured in steps:
        for module, m, s in ((kalman, mean, covariance), (twin, mean_twin, covariance_twin)):
            module.predict(dt_s, 0.75, 0.25, m, s)
            module.correct(np.array(measured), 0.02, 0.07, m, s)
    np.testing.assert_allclose(mean, mean_twin, rtol=1e-8, atol=1e-7)
    np.testing.assert_allclose(covariance, covariance_twin, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("module", [kalman, twin])
def test_two_short_predictions_equal_one_long_prediction(module: object) -> None:
    once, twice = new_state(), new_state()
    once[0][4:], twice[0][4:] = 3.0, 3.0
    module.predict(2.0, 0.75, 0.25, *once)  # type: ignore[attr-defined]
    for part_s in (0.3, 1.7):
        module.predict(part_s, 0.75, 0.25, *twice)  # type: ignore[attr-defined]
    np.testing.assert_allclose(once[0], twice[0], rtol=1e-12)
    np.testing.assert_allclose(once[1], twice[1], rtol=1e-12)


def test_the_filter_finds_a_constant_velocity_from_uneven_times() -> None:
    mean, covariance = new_state()
    now_s = 0.0
    for dt_s in (0.08, 0.3, 0.02, 0.1, 0.5, 0.04, 0.1, 0.1):
        now_s += dt_s
        kalman.predict(dt_s, 0.75, 0.25, mean, covariance)
        kalman.correct(BOX + np.array([25.0, -10.0, 2.0, 1.0]) * now_s, 0.02, 0.07, mean, covariance)
    assert mean[4] == pytest.approx(25.0, abs=0.5)
    assert mean[5] == pytest.approx(-10.0, abs=0.5)
    assert mean[6] == pytest.approx(2.0, abs=0.5)


def test_the_variance_grows_with_a_prediction_and_shrinks_with_a_correction() -> None:
    mean, covariance = new_state()
    before = covariance.copy()
    kalman.predict(1.0, 0.75, 0.25, mean, covariance)
    assert (covariance[[0, 2, 3, 5]] > before[[0, 2, 3, 5]]).all()
    grown = covariance.copy()
    kalman.correct(BOX, 0.02, 0.07, mean, covariance)
    assert (covariance[[0, 2, 3, 5]] < grown[[0, 2, 3, 5]]).all()
