"""How many vehicles may be looked at: so many a minute in the mean, a minute's worth at once."""

from __future__ import annotations

import math


class Budget:
    """A bucket that fills in capture time, so that a recording played fast is looked at as one played slowly."""

    def __init__(self, a_minute: float) -> None:
        self._most = max(1.0, a_minute)
        self._a_second = a_minute / 60.0
        self._left = self._most
        self._at_s = -math.inf

    def grants(self, at_s: float) -> bool:
        """Take one, if there is one; a clock that goes back fills nothing."""
        if at_s > self._at_s:
            gained = 0.0 if math.isinf(self._at_s) else (at_s - self._at_s) * self._a_second
            self._left, self._at_s = min(self._most, self._left + gained), at_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
