"""When a recipient may be called again: an even pace, and a breaker that waits longer after every failure.

Not a library: aiolimiter's bucket lets the cases of a whole hour through at once after a quiet hour, purgatory's
breaker waits for a fixed time, and tenacity keeps its state in a call that kill -9 ends. What must survive is in the
outbox.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable

SHORTEST_S = 0.5
"""Pause after the first failure."""
LONGEST_ASKED_S = 3600.0
"""Limit of the pause that a recipient may ask for."""
OPENS_AT = 5
"""Failures in a row after which the recipient counts as down."""


def backoff_s(failures: int, longest_s: float, chance: Callable[[], float] = random.random) -> float:
    """Pause after the n-th failure in a row: doubled each time, capped, and up to half of it left out at random.

    The random part keeps clients that were cut off together from coming back together (M. Brooker, Exponential Backoff
    And Jitter, 2015).
    """
    full_s = min(longest_s, SHORTEST_S * 2.0 ** min(failures - 1, 30))
    return full_s * (0.5 + 0.5 * chance())


class RatePacer:
    """At most `per_hour` submissions an hour, evenly spread: no burst after a quiet hour or a restart."""

    def __init__(self, per_hour: int, clock: Callable[[], float]) -> None:
        self._interval_s = 3600.0 / per_hour
        self._clock = clock
        self._next_s = clock()

    def wait_s(self) -> float:
        """Seconds until the next submission may go; 0: now."""
        return max(0.0, self._next_s - self._clock())

    def count(self) -> None:
        """Count one submission."""
        self._next_s = self._clock() + self._interval_s


class BreakerState(enum.IntEnum):
    """State of a breaker, and the value of its metric."""

    CLOSED = 0
    """Submissions go."""
    OPEN = 1
    """The recipient counts as down and is not called."""
    HALF_OPEN = 2
    """The pause is over: one submission tries."""


class Breaker:
    """Counts failures in a row; each makes the pause before the next submission longer."""

    def __init__(self, longest_s: float, clock: Callable[[], float]) -> None:
        self._longest_s = longest_s
        self._clock = clock
        self._failures = 0
        self._next_s = float("-inf")

    @property
    def state(self) -> BreakerState:
        """The state now."""
        if self._failures < OPENS_AT:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.wait_s() > 0 else BreakerState.HALF_OPEN

    def wait_s(self) -> float:
        """Seconds until the next submission may go; 0: now."""
        return max(0.0, self._next_s - self._clock())

    def fail(self, at_least_s: float = 0.0) -> None:
        """Count a failed submission; the recipient may ask for a pause of at least `at_least_s`."""
        self._failures += 1
        pause_s = max(backoff_s(self._failures, self._longest_s), min(at_least_s, LONGEST_ASKED_S))
        self._next_s = self._clock() + pause_s

    def succeed(self) -> bool:
        """Count an answered submission. Returns True if the recipient was down until now."""
        was_down = self._failures >= OPENS_AT
        self._failures, self._next_s = 0, float("-inf")
        return was_down
