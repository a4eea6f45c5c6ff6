"""Selection of the sampled frames."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.decode.sampling import SamplingSchedule


def chosen(fps: float, captured_s: np.ndarray, pieces: int = 1) -> np.ndarray:
    """Capture times that the schedule selects, given in pieces like segments."""
    schedule = SamplingSchedule(fps)
    return np.concatenate([part[schedule.choose(part)] for part in np.array_split(captured_s, pieces)])


def test_a_camera_with_25_fps_is_sampled_evenly_at_8() -> None:
    taken = chosen(8, np.arange(500) / 25)
    assert len(taken) == 160
    assert np.diff(taken).max() <= 0.16 + 1e-9
    assert np.diff(taken).min() >= 0.12 - 1e-9


def test_the_borders_of_segments_have_no_influence() -> None:
    captured_s = np.sort(np.random.default_rng(0).uniform(0, 20, 500))
    np.testing.assert_array_equal(chosen(8, captured_s), chosen(8, captured_s, pieces=17))


@given(st.floats(1, 8), st.integers(0, 1000))
def test_all_frames_of_a_slower_camera_are_sampled_despite_jitter(fps: float, seed: int) -> None:
    jitter_s = np.random.default_rng(seed).uniform(-0.12, 0.12, 100) / 8
    captured_s = np.arange(100) / fps + jitter_s
    assert len(chosen(8, captured_s)) == 100


@given(st.integers(0, 1000), st.floats(1, 30))
def test_the_average_rate_never_exceeds_the_configured_rate(seed: int, fps: float) -> None:
    captured_s = np.cumsum(np.random.default_rng(seed).exponential(0.02, 1000))
    assert len(chosen(fps, captured_s)) <= fps * (captured_s[-1] - captured_s[0]) + 2


def test_frames_out_of_order_are_sampled_in_the_order_of_capture() -> None:
    captured_s = np.array([0.0, 0.16, 0.08, 0.04, 0.12])
    assert SamplingSchedule(12.5).choose(captured_s).tolist() == [0, 2, 1]


def test_the_schedule_does_not_catch_up_after_a_gap() -> None:
    taken = chosen(8, np.concatenate([np.arange(25) / 25, 100 + np.arange(25) / 25]))
    assert (taken >= 100).sum() <= 9


def test_a_clock_set_back_does_not_stop_the_camera() -> None:
    schedule = SamplingSchedule(8)
    schedule.choose(1000 + np.arange(50) / 25)
    assert len(schedule.choose(np.arange(50) / 25)) == 16


def test_no_frames_give_no_samples() -> None:
    assert SamplingSchedule(8).choose(np.empty(0)).tolist() == []
