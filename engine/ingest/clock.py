"""From a stream's own timestamps (pts) to the UTC instant at which the camera took each picture.

A presentation timestamp is exact in its intervals but counts from nowhere. Where a sender report (RFC 3550, 6.4.1) ties
it to the camera's wall clock, that is the answer. Where none does, the time of arrival is: a packet may come late but
never early, so the smallest `arrival - pts` of the last minute is the offset with the network's jitter taken out (the
minimum filter of NTP, RFC 5905, 10). Neither is followed blindly:

* the mapping is affine within a segment, and between segments it is slewed by at most SLEW, so that intervals, which
  speeds are made of, are the camera's own to 0.02 %;
* it steps only where it is off by more than STEP_S, and for SETTLE_S after a step or a connect says so: UNSTABLE;
* time never runs backwards: after a step back it runs at half speed until the old time is reached again, UNSTABLE.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from engine.types import Clock, Floats

SLEW = 200e-6
"""Seconds per second that the mapping may drift while it is stable; NTP slews at 500e-6."""
STEP_S = 0.25
"""A larger difference is a jump: more than the sloppiness of sender reports, which is a frame interval."""
SETTLE_S = 5.0
TRUST_S = 10.0
"""A camera clock that differs by more from this host's is not synchronised, and not used."""
FRESH_S = 15.0
"""So long after a jump there has been a new sender report: they come every 5 s or so."""
REORDER_S = 2.0
"""Packets in decoding order lie at most this far out of presentation order; further is a jump."""
ENVELOPE_S = 60
"""The time of arrival is taken from the earliest packet of so many seconds."""
PERSIST_S = 10
"""So long must packets come late until lateness is taken for a change of the offset."""
_CATCH_UP = 0.5
_LEAST_GAP_S = 1e-3


class Envelope:
    """The smallest delay of every second of the last minute."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, float]] = deque()

    def add(self, at_s: float, delay_s: float) -> None:
        second = int(at_s // 1)
        if not self._seconds or second > self._seconds[-1][0]:
            self._seconds.append((second, delay_s))
            while self._seconds[0][0] <= second - ENVELOPE_S:
                self._seconds.popleft()
        elif delay_s < self._seconds[-1][1]:
            self._seconds[-1] = (self._seconds[-1][0], delay_s)

    @property
    def floor_s(self) -> float:
        """The smallest delay; there must be one."""
        return min(delay for _, delay in self._seconds)

    def follow(self) -> None:
        """Forget the older seconds when every packet of the last PERSIST_S came later by more than STEP_S."""
        recent = [(second, delay) for second, delay in self._seconds if second > self._seconds[-1][0] - PERSIST_S]
        if min(delay for _, delay in recent) > self.floor_s + STEP_S:
            self._seconds = deque(recent)


class CaptureClock:
    """Maps the pts of one camera's stream to UTC. Not thread-safe; lives as long as the camera, across connections."""

    def __init__(self) -> None:
        self.jumps = 0
        """Jumps seen so far: of the camera's clock, of its timestamps, of this host's clock."""
        self.camera_error_s: float | None = None
        """Camera's clock minus this host's at the last sender report, its delay included; None without a report."""
        self._last_s = -np.inf  # capture time of the newest frame stamped so far
        self._stale_s: float | None = None  # a report's offset that a jump of the timestamps made worthless
        self.restart()

    def restart(self) -> None:
        """A new connection: pts count from somewhere else now."""
        self._envelope = Envelope()
        self._reported_s: float | None = None
        self._offset_s: float | None = None
        self._source = Clock.ARRIVAL
        self._newest_s = -np.inf  # largest pts seen
        self._stamped_s = np.inf  # largest pts stamped
        self._settled_s = np.inf  # pts from which the mapping is stable
        self._fresh_s = np.inf  # pts from which reports are new ones, whatever they say

    def is_jump(self, pts_s: float, arrived_s: float) -> bool:
        """Does the next packet's pts belong to another timeline than those observed?

        It does when it lies back further than any reordering, or so far ahead that it would have come too early.
        """
        if abs(pts_s - self._newest_s) < REORDER_S or not np.isfinite(self._newest_s):
            return False
        return pts_s < self._newest_s or arrived_s - pts_s < self._envelope.floor_s - STEP_S

    def jump(self) -> None:
        """The next packet begins another timeline on the same connection: the reports so far say nothing of it."""
        self.jumps += 1
        self._stale_s = self._reported_s
        self.restart()

    def observe(self, pts_s: float, arrived_s: float, reported_s: float | None = None) -> None:
        """Take in a packet, in decoding order.

        `arrived_s` is this host's clock, `reported_s` the camera's clock for this very packet by its sender report,
        both Unix seconds UTC.
        """
        if not np.isfinite(self._newest_s):
            self._settled_s, self._fresh_s = pts_s + SETTLE_S, pts_s + FRESH_S
        self._newest_s = max(self._newest_s, pts_s)
        self._envelope.add(self._newest_s, arrived_s - pts_s)
        if reported_s is not None:
            self._report(reported_s - pts_s, pts_s)

    def stamp(self, pts_s: Floats) -> tuple[Floats, Clock]:
        """Capture times of a segment's packets, `observe`d before, and how they were obtained."""
        first_s, last_s = float(pts_s.min()), float(pts_s.max())
        target_s, source = self._target()
        offset_s = self._steer(target_s, source, first_s, last_s)
        captured_s, resume_s = pts_s + offset_s, self._resume_s(first_s)
        late = first_s + offset_s < resume_s
        if late:
            captured_s = np.maximum(captured_s, resume_s + _CATCH_UP * (pts_s - first_s))
        self._last_s, self._stamped_s = float(captured_s.max()), last_s
        return captured_s, Clock.UNSTABLE if late or first_s < self._settled_s else source

    def _report(self, offset_s: float, pts_s: float) -> None:
        """Take in what the latest report says, unless it is the last one from before a jump, still being handed out."""
        if self._stale_s is not None and abs(offset_s - self._stale_s) < _LEAST_GAP_S and pts_s < self._fresh_s:
            return
        if self._reported_s is not None and abs(offset_s - self._reported_s) > STEP_S:
            self.jumps += 1
        self._stale_s = None
        self.camera_error_s = offset_s - self._envelope.floor_s
        self._reported_s = offset_s

    def _target(self) -> tuple[float, Clock]:
        """The offset that the evidence asks for."""
        self._envelope.follow()
        floor_s = self._envelope.floor_s
        if self._reported_s is not None and abs(self._reported_s - floor_s) <= TRUST_S:
            return self._reported_s, Clock.SYNCHRONISED
        return floor_s, Clock.ARRIVAL

    def _steer(self, target_s: float, source: Clock, first_s: float, last_s: float) -> float:
        """The offset, moved towards what the evidence asks for: at once while unstable, else by slewing."""
        stable = self._offset_s is not None and first_s >= self._settled_s
        off_by_s = target_s - self._offset_s if self._offset_s is not None else 0.0
        if abs(off_by_s) > STEP_S:
            self._settled_s = last_s + SETTLE_S
            self.jumps += int(stable and source is self._source is Clock.ARRIVAL)
        elif stable:
            most_s = SLEW * max(0.0, last_s - self._stamped_s)
            target_s -= off_by_s - min(most_s, max(-most_s, off_by_s))
        self._offset_s, self._source = target_s, source
        return target_s

    def _resume_s(self, first_s: float) -> float:
        """The earliest capture time that a segment beginning at pts `first_s` may have."""
        return self._last_s + max(_LEAST_GAP_S, _CATCH_UP * (first_s - self._stamped_s))


class DeclaredClock:
    """Maps the pts of a file to the time at which its first frame is said to have been taken."""

    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self._offset_s: float | None = None
        self._newest_s = -np.inf

    def is_jump(self, pts_s: float, arrived_s: float) -> bool:
        """A file may leave any gap, but it may not go back."""
        return pts_s < self._newest_s - REORDER_S

    def jump(self) -> None:
        """What follows continues where the file has come to."""
        self._start_s = self._newest_s + (self._offset_s or 0.0) + _LEAST_GAP_S
        self._offset_s, self._newest_s = None, -np.inf

    def observe(self, pts_s: float, arrived_s: float, reported_s: float | None = None) -> None:
        """Take in a packet, in decoding order; times of arrival mean nothing here."""
        self._newest_s = max(self._newest_s, pts_s)

    def stamp(self, pts_s: Floats) -> tuple[Floats, Clock]:
        if self._offset_s is None:
            self._offset_s = self._start_s - float(pts_s.min())
        return pts_s + self._offset_s, Clock.DECLARED
