"""Section control: the mean speed of a vehicle between two cameras, from a surveyed length and two clocks.

The same plate is read at an entry and at an exit; the speed is length over time. Each instant errs by its camera's
clock and by not knowing the moment the plate was over the line; the length by the survey. The quotient's standard
uncertainty is first-order (GUM, 5.1.3). The length is that of the shortest way a vehicle can take, so the result is a
lower bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.types import Clock, Measurable

CLOCK_SIGMA_S = {Clock.SYNCHRONISED: 0.05, Clock.ARRIVAL: 0.5, Clock.DECLARED: math.inf, Clock.UNSTABLE: math.inf}
"""Standard uncertainty of a camera's UTC by the state of its clock; a declared or jumping clock cannot be compared."""
SHORTEST_S = 5.0


@dataclass(frozen=True, slots=True)
class Passage:
    """A vehicle over one end of the section."""

    passed_s: float
    """Capture time at the line, Unix seconds UTC."""
    clock: Clock
    sigma_s: float = 0.04
    """Standard uncertainty of the instant within the camera's own time: about a frame."""

    @property
    def utc_sigma_s(self) -> float:
        """Standard uncertainty of the instant in UTC."""
        return math.hypot(self.sigma_s, CLOCK_SIGMA_S[self.clock])


@dataclass(frozen=True, slots=True)
class SectionSpeed:
    """The mean speed over a section, or why there is none."""

    measurable: Measurable
    speed_mps: float
    """nan where not measurable."""
    sigma_mps: float
    """Combined standard uncertainty (k = 1); nan where not measurable."""


def section_speed(
    entry: Passage, exit_: Passage, length_m: float, length_sigma_m: float, *, widest_share: float = 0.03
) -> SectionSpeed:
    """Mean speed from entry to exit.

    length_m, length_sigma_m  surveyed length of the shortest way, and its standard uncertainty
    widest_share              a standard uncertainty above this share of the speed is no measurement

    Not measurable: CLOCK_UNSTABLE where a clock cannot be compared with the other, INCONSISTENT where the exit is not
    after the entry, TOO_SHORT below five seconds, UNCERTAIN above the bound. Raises ValueError for a length that is
    not positive or an uncertainty below zero.
    """
    if not (length_m > 0.0 and length_sigma_m >= 0.0):
        raise ValueError(f"a section of {length_m} +- {length_sigma_m} m cannot be")
    sigma_s = math.hypot(entry.utc_sigma_s, exit_.utc_sigma_s)
    lasting_s = exit_.passed_s - entry.passed_s
    if not math.isfinite(sigma_s):
        return _none(Measurable.CLOCK_UNSTABLE)
    if not lasting_s > 0.0:
        return _none(Measurable.INCONSISTENT)
    if lasting_s < SHORTEST_S:
        return _none(Measurable.TOO_SHORT)
    speed_mps = length_m / lasting_s
    share = math.hypot(length_sigma_m / length_m, sigma_s / lasting_s)
    if share > widest_share:
        return _none(Measurable.UNCERTAIN)
    return SectionSpeed(Measurable.YES, speed_mps, share * speed_mps)


def _none(reason: Measurable) -> SectionSpeed:
    return SectionSpeed(reason, math.nan, math.nan)
