"""How much one caller may ask of the service."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.config import LimitsConfig
from engine.serve.status import TooMany

KEPT = 4096
"""Callers that are remembered; the one not seen for longest is forgotten, which costs it nothing."""


class Buckets:
    """A token bucket for every caller: `burst` calls at once, `per_s` in the long run. For one thread."""

    def __init__(self, per_s: float, burst: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Take one; raises TooMany, saying when there will be one, where there is none."""
        now_s = self._clock()
        left, at_s = self._left.pop(caller, (float(self._burst), now_s))
        left = min(self._burst, left + (now_s - at_s) * self._per_s)
        self._left[caller] = (max(left - 1, 0.0) if left >= 1 else left, now_s)
        if len(self._left) > KEPT:
            self._left.popitem(last=False)
        if left < 1:
            raise TooMany(f"{caller}: more than {self._per_s:g} calls a second", (1 - left) / self._per_s)


class RateLimits:
    """The limits of a service. For one thread."""

    def __init__(self, config: LimitsConfig) -> None:
        self._config = config
        self.calls = Buckets(config.calls_per_s, config.burst)
        self.failures = Buckets(config.failures_per_s, config.failures_burst)
        """By address, of callers that nobody knows: guessing is slow, and the log stays readable."""
        self._streams: Counter[str] = Counter()

    @contextmanager
    def stream(self, caller: str) -> Iterator[None]:
        """One more stream of a caller, while it lasts; raises TooMany."""
        if self._streams[caller] >= self._config.streams:
            raise TooMany(f"{caller}: more than {self._config.streams} streams at once")
        self._streams[caller] += 1
        try:
            yield
        finally:
            self._streams[caller] -= 1
            if not self._streams[caller]:
                del self._streams[caller]
