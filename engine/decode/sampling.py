"""Which frames are looked at: chosen by capture time, so that a variable frame rate changes nothing."""

from __future__ import annotations

import numpy as np

from engine.types import Floats, Ints

_EARLY = 0.25
"""Fraction of the period that a frame may come before it is due: jitter must not cost every second frame."""
_SHORTEST = 0.75
"""Fraction of the period after which the next frame is due when the camera lags: how far it may catch up."""


class Schedule:
    """When one camera's next frame is due. Goes on from segment to segment, whether or not one was dropped between.

    Over any longer time at most `fps` frames a second are chosen, and of a camera that has fewer, all.
    """

    def __init__(self, fps: float) -> None:
        self._period_s = 1 / fps
        self._due_s = np.inf

    def choose(self, captured_s: Floats) -> Ints:
        """Rows of `captured_s` (P,) to look at, ascending in capture time."""
        order = np.argsort(captured_s, kind="stable")
        chosen = [row for row in order.tolist() if self._take(float(captured_s[row]))]
        return np.array(chosen, np.int64)

    def _take(self, captured_s: float) -> bool:
        early_s = self._period_s * _EARLY
        if captured_s < self._due_s - self._period_s - early_s:
            self._due_s = captured_s  # the first frame, or one before the last that was taken: the clock was set back
        if captured_s < self._due_s - early_s:
            return False
        self._due_s = max(self._due_s + self._period_s, captured_s + self._period_s * _SHORTEST)
        return True
