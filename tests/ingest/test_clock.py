"""Compares the clock with simulated cameras whose true capture times are known."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.ingest.clock import SETTLE_S, SLEW, STEP_S, TRUST_S, CaptureClock, DeclaredClock
from engine.types import Clock, Floats

T0 = 1.8e9
DELAY_S = 0.08


@dataclass
class Camera:
    """A simulated camera with 25 fps and one segment per second."""

    drift: float = 0.0
    """Error of its clock rate, s/s."""
    jitter_s: float = 0.02
    reports: bool = False
    off_by_s: float = 0.0
    """Its wall clock minus UTC."""
    pts_offset_s: float = 0.0
    host_step_s: float = 0.0
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    now_s: float = 0.0
    clock: CaptureClock = field(default_factory=CaptureClock)

    def segment(self, late_s: float = 0.0) -> tuple[Floats, Floats, Clock]:
        """Film one second. Returns true UTC, capture times by the tested clock, and its state."""
        taken_s = self.now_s + np.arange(25) / 25
        self.now_s += 1.0
        pts_s = taken_s * (1 + self.drift) + self.pts_offset_s
        arrived_s = T0 + taken_s + DELAY_S + late_s + self.host_step_s + self.rng.exponential(self.jitter_s, 25)
        for pts, arrived, taken in zip(pts_s, arrived_s, taken_s, strict=True):
            if self.clock.is_jump(pts, arrived):
                self.clock.jump()
            self.clock.observe(pts, arrived, T0 + taken + self.off_by_s if self.reports else None)
        captured_s, state = self.clock.stamp(pts_s)
        return T0 + taken_s, captured_s, state

    def film(self, seconds: int) -> list[tuple[Floats, Floats, Clock]]:
        return [self.segment() for _ in range(seconds)]


def ascending(film: list[tuple[Floats, Floats, Clock]]) -> bool:
    return bool((np.diff(np.concatenate([captured for _, captured, _ in film])) > 0).all())


def test_times_without_reports_are_arrival_times_without_jitter() -> None:
    film = Camera(jitter_s=0.1).film(40)
    assert [state for _, _, state in film[:4]] == [Clock.UNSTABLE] * 4
    assert {state for _, _, state in film[6:]} == {Clock.ARRIVAL}
    errors_s = np.concatenate([captured - true for true, captured, _ in film[6:]])
    assert ((errors_s > DELAY_S - 1e-3) & (errors_s < DELAY_S + 0.03)).all()


def test_times_with_reports_are_those_of_the_camera() -> None:
    film = Camera(reports=True, off_by_s=-1.5, jitter_s=0.1).film(20)
    assert film[-1][2] is Clock.SYNCHRONISED
    assert np.allclose(film[-1][1] - film[-1][0], -1.5, atol=1e-6)


@settings(max_examples=60)
@given(
    drift=st.floats(-1e-4, 1e-4),
    jitter_s=st.floats(0.0, 0.3),
    reports=st.booleans(),
    off_by_s=st.floats(-TRUST_S / 2, TRUST_S / 2),
    seed=st.integers(0, 1000),
)
def test_intervals_of_a_stable_clock_are_the_cameras_own(
    drift: float, jitter_s: float, reports: bool, off_by_s: float, seed: int
) -> None:
    camera = Camera(drift, jitter_s, reports, off_by_s, rng=np.random.default_rng(seed))
    film = camera.film(100)
    assert ascending(film)
    assert camera.clock.jumps == 0
    stable = [(true, captured) for true, captured, state in film if state is not Clock.UNSTABLE]
    assert len(stable) > 80
    true_s, captured_s = (np.concatenate(column) for column in zip(*stable, strict=True))
    for apart in (1, 25, 250):
        took_s = true_s[apart:] - true_s[:-apart]
        wrong_s = captured_s[apart:] - captured_s[:-apart] - took_s
        segments = apart // 25 + 1
        assert np.abs(wrong_s).max() < segments * SLEW + abs(drift) * took_s.max() + 2e-6


@settings(max_examples=60)
@given(step_s=st.floats(-8.0, 8.0).filter(lambda step_s: abs(step_s) > STEP_S + 0.05), jitter_s=st.floats(0.0, 0.02))
def test_a_step_of_the_cameras_clock_is_one_jump_and_unstable_for_a_while(step_s: float, jitter_s: float) -> None:
    camera = Camera(reports=True, jitter_s=jitter_s)
    film = camera.film(10)
    camera.off_by_s = step_s
    film += camera.film(30)
    assert camera.clock.jumps == 1
    assert ascending(film)
    states = [state for _, _, state in film[10:]]
    assert states[:5] == [Clock.UNSTABLE] * 5
    assert states[-1] is Clock.SYNCHRONISED
    assert np.allclose(film[-1][1] - film[-1][0], step_s, atol=1e-3)


@pytest.mark.parametrize("step_s", [-3.0, 2.0])
def test_a_step_of_this_hosts_clock_is_detected_without_reports(step_s: float) -> None:
    camera = Camera()
    film = camera.film(20)
    camera.host_step_s = step_s
    film += camera.film(40)
    assert camera.clock.jumps == 1
    assert ascending(film)
    assert film[-1][2] is Clock.ARRIVAL
    assert np.allclose(film[-1][1] - film[-1][0], step_s + DELAY_S, atol=0.03)


def test_a_step_of_this_hosts_clock_changes_nothing_with_reports() -> None:
    camera = Camera(reports=True)
    camera.film(10)
    camera.host_step_s = -2.0
    film = camera.film(20)
    assert camera.clock.jumps == 0
    assert {state for _, _, state in film} == {Clock.SYNCHRONISED}


@pytest.mark.parametrize("off_by_s", [-3600.0, TRUST_S + 1, 7 * 3600.0])
def test_a_camera_clock_that_is_far_off_is_not_used(off_by_s: float) -> None:
    camera = Camera(reports=True, off_by_s=off_by_s)
    film = camera.film(12)
    assert film[-1][2] is Clock.ARRIVAL
    assert np.allclose(film[-1][1] - film[-1][0], DELAY_S, atol=0.03)
    assert camera.clock.camera_error_s == pytest.approx(off_by_s - DELAY_S, abs=0.05)


def test_a_stall_of_the_network_is_not_a_jump() -> None:
    camera = Camera()
    camera.film(20)
    late = [camera.segment(late_s=4.0 - number) for number in range(4)]
    film = camera.film(20)
    assert camera.clock.jumps == 0
    assert {state for _, _, state in [*late, *film]} == {Clock.ARRIVAL}
    assert ascending([*late, *film])


@pytest.mark.parametrize("jump_s", [-1000.0, -5.0, 5.0, 1000.0])
@pytest.mark.parametrize("reports", [False, True])
def test_a_jump_of_the_timestamps_begins_a_new_timeline(jump_s: float, reports: bool) -> None:
    """Until a new report arrives, libavformat repeats the report of the old timeline."""
    camera = Camera(reports=reports)
    film = camera.film(20)
    camera.pts_offset_s = jump_s
    camera.off_by_s = jump_s
    film += camera.film(3)
    camera.off_by_s = 0.0
    film += camera.film(20)
    assert camera.clock.jumps == 1
    assert ascending(film)
    assert [state for _, _, state in film[20:24]] == [Clock.UNSTABLE] * 4
    assert film[-1][2] is (Clock.SYNCHRONISED if reports else Clock.ARRIVAL)
    assert np.allclose(film[-1][1] - film[-1][0], 0.0 if reports else DELAY_S, atol=0.03)


def test_an_equal_report_long_after_a_jump_is_used() -> None:
    """There was no jump: the network stalled and pictures were lost."""
    camera = Camera(reports=True)
    camera.film(20)
    camera.clock.jump()
    assert [state for _, _, state in camera.film(30)][-1] is Clock.SYNCHRONISED


def test_time_continues_across_a_new_connection() -> None:
    camera = Camera()
    film = camera.film(10)
    camera.clock.restart()
    camera.pts_offset_s = -camera.now_s
    film += camera.film(10)
    assert camera.clock.jumps == 0
    assert ascending(film)
    assert film[10][2] is Clock.UNSTABLE and film[-1][2] is Clock.ARRIVAL


def test_the_first_seconds_are_unstable() -> None:
    film = Camera(reports=True).film(10)
    assert [state for _, _, state in film].count(Clock.UNSTABLE) == SETTLE_S


def test_a_file_counts_from_its_declared_start_and_never_goes_back() -> None:
    clock, captured_s = DeclaredClock(T0), []
    for pts_s in (np.array([5.0, 5.4, 5.2]), np.array([5.6, 60.0]), np.array([1.0, 1.2])):
        for pts in pts_s:
            if clock.is_jump(pts, 0.0):
                clock.jump()
            clock.observe(pts, 0.0)
        stamped_s, state = clock.stamp(pts_s)
        captured_s.extend(stamped_s - T0)
        assert state is Clock.DECLARED
    assert captured_s == pytest.approx([0.0, 0.4, 0.2, 0.6, 55.0, 55.001, 55.201], abs=1e-6)
