"""When a recipient may be called again: an even pace, and a breaker that waits longer after every failure.

Not a library: aiolimiter's bucket lets a whole hour's worth through at once after a quiet hour, purgatory's breaker
waits for a fixed time, and tenacity keeps its state in a call that kill -9 ends; what has to survive is in the outbox.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable

SHORTEST_S = 0.5
"""Pause after the first failure."""
LONGEST_ASKED_S = 3600.0
"""A recipient that asks to be left alone for longer is asked again after this."""
OPENS_AT = 5
"""So many failures in a row, and the recipient counts as down."""


def backoff_s(failures: int, longest_s: float, chance: Callable[[], float] = random.random) -> float:
    """Pause after the n-th failure in a row: doubled each time, capped, and up to half of it left out by chance.

    So many who were cut off at once do not come back at once (M. Brooker, Exponential Backoff And Jitter, 2015).
    """
    whole_s = min(longest_s, SHORTEST_S * 2.0 ** min(failures - 1, 30))
    return whole_s * (0.5 + 0.5 * chance())


class RatePacer:
    """At most so many an hour, evenly spread: not in any hour more, after a quiet one or a restart either."""

    def __init__(self, per_hour: int, clock: Callable[[], float]) -> None:
        self._interval_s = 3600.0 / per_hour
        self._clock = clock
        self._free_s = clock()

    def wait_s(self) -> float:
        """How long until the next submission may go; 0 for now."""
        return max(0.0, self._free_s - self._clock())

    def count(self) -> None:
        """One has gone."""
        self._free_s = self._clock() + self._interval_s


class BreakerState(enum.IntEnum):
    """Of a breaker; the metric's value."""

    CLOSED = 0
    """Submissions go."""
    OPEN = 1
    """The recipient counts as down and is left alone."""
    HALF_OPEN = 2
    """It has been left alone for long enough: one submission tries."""


class Breaker:
    """Counts failures in a row; each one makes the pause before the next submission longer."""

    def __init__(self, longest_s: float, clock: Callable[[], float]) -> None:
        self._longest_s = longest_s
        self._clock = clock
        self._failures = 0
        self._again_s = float("-inf")

    @property
    def state(self) -> BreakerState:
        if self._failures < OPENS_AT:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.wait_s() > 0 else BreakerState.HALF_OPEN

    def wait_s(self) -> float:
        """How long until the next submission may go; 0 for now."""
        return max(0.0, self._again_s - self._clock())

    def fail(self, at_least_s: float = 0.0) -> None:
        """A submission failed; the recipient may ask for a longer pause."""
        self._failures += 1
        pause_s = max(backoff_s(self._failures, self._longest_s), min(at_least_s, LONGEST_ASKED_S))
        self._again_s = self._clock() + pause_s

    def succeed(self) -> bool:
        """A submission was answered; was the recipient down until now?"""
        was_down = self._failures >= OPENS_AT
        self._failures, self._again_s = 0, float("-inf")
        return was_down
