"""Section control: length over time, and every reason not to say so."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.section import Passage, section_speed
from engine.types import Clock, Measurable

ENTRY = Passage(1000.0, Clock.SYNCHRONISED)


def leaving(after_s: float, clock: Clock = Clock.SYNCHRONISED) -> Passage:
    return Passage(ENTRY.passed_s + after_s, clock)


def test_the_mean_speed_is_length_over_time() -> None:
    found = section_speed(ENTRY, leaving(100.0), 2500.0, 1.0)
    assert found.measurable == Measurable.YES
    assert found.speed_mps == pytest.approx(25.0)


def test_the_uncertainty_is_that_of_length_and_both_clocks() -> None:
    rng, n = np.random.default_rng(0), 200_000
    entry, out = ENTRY, leaving(20.0)
    time_s = 20.0 + rng.normal(0, out.utc_sigma_s, n) - rng.normal(0, entry.utc_sigma_s, n)
    drawn = (500.0 + rng.normal(0, 2.0, n)) / time_s
    assert section_speed(entry, out, 500.0, 2.0).sigma_mps == pytest.approx(drawn.std(), rel=0.02)


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        (leaving(100.0, Clock.UNSTABLE), Measurable.CLOCK_UNSTABLE),
        (leaving(100.0, Clock.DECLARED), Measurable.CLOCK_UNSTABLE),
        (leaving(-1.0), Measurable.INCONSISTENT),
        (leaving(2.0), Measurable.TOO_SHORT),
        (leaving(10.0, Clock.ARRIVAL), Measurable.UNCERTAIN),
    ],
)
def test_what_cannot_be_measured_says_why(out: Passage, reason: Measurable) -> None:
    found = section_speed(ENTRY, out, 2500.0, 1.0)
    assert found.measurable == reason
    assert math.isnan(found.speed_mps)


@pytest.mark.parametrize(("length_m", "sigma_m"), [(0.0, 1.0), (-5.0, 1.0), (math.nan, 1.0), (100.0, -1.0)])
def test_a_section_without_length_is_refused(length_m: float, sigma_m: float) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        section_speed(ENTRY, leaving(100.0), length_m, sigma_m)
