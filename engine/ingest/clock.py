"""Maps a stream's presentation timestamps (pts) to the UTC instants at which the camera took the pictures.

The intervals of pts are exact, but pts count from an arbitrary origin. An RTCP sender report (RFC 3550, 6.4.1) links
them to the camera's wall clock. Without reports the time of arrival gives the offset: a packet can arrive late but
never early, so the smallest `arrival - pts` of the last minute is the offset without network jitter (like the minimum
delay of the clock filter of NTP, RFC 5905, 10). The clock follows neither source blindly:

* Within a segment the mapping is affine. Between segments it slews by at most SLEW, so intervals, from which speeds are
  computed, are the camera's own to 0.02 %.
* The mapping steps only if it is off by more than STEP_S. For SETTLE_S after a step or a connect it is UNSTABLE.
* Time never runs backwards. After a step back it runs at half speed up to the old time, and is UNSTABLE.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from engine.types import Clock, Floats

SLEW = 200e-6
"""Largest slew of a stable mapping, seconds per second. NTP slews at 500e-6."""
STEP_S = 0.25
"""A larger difference is a jump. It exceeds the error of sender reports, which is about a frame interval."""
SETTLE_S = 5.0
"""Time after a step or a connect in which the mapping is UNSTABLE."""
TRUST_S = 10.0
"""A camera clock that differs by more from this host's clock is not used."""
FRESH_S = 15.0
"""Time after a jump within which a new sender report must have arrived: cameras send one about every 5 s."""
REORDER_S = 2.0
"""Largest distance of a packet from its presentation order. A larger distance is a jump."""
FILTER_S = 60
"""Length of the minimum filter of the arrival delay."""
PERSIST_S = 10
"""The offset changes if all packets of this many seconds are late."""
_CATCH_UP = 0.5
_LEAST_GAP_S = 1e-3


class MinimumDelayFilter:
    """The smallest delay of each second of the last minute (FILTER_S)."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, float]] = deque()

    def add(self, at_s: float, delay_s: float) -> None:
        """Add a packet with this pts and this `arrival - pts`."""
        second = int(at_s // 1)
        if not self._seconds or second > self._seconds[-1][0]:
            self._seconds.append((second, delay_s))
            while self._seconds[0][0] <= second - FILTER_S:
                self._seconds.popleft()
        elif delay_s < self._seconds[-1][1]:
            self._seconds[-1] = (self._seconds[-1][0], delay_s)

    @property
    def floor_s(self) -> float:
        """The smallest delay. At least one packet must have been added."""
        return min(delay for _, delay in self._seconds)

    def follow(self) -> None:
        """Drop the older seconds if all packets of the last PERSIST_S were late by more than STEP_S."""
        recent = [(second, delay) for second, delay in self._seconds if second > self._seconds[-1][0] - PERSIST_S]
        if min(delay for _, delay in recent) > self.floor_s + STEP_S:
            self._seconds = deque(recent)


class CaptureClock:
    """Maps the pts of one camera's stream to UTC, across connections. Not thread-safe."""

    def __init__(self) -> None:
        self.jumps = 0
        """Number of jumps so far, of the camera's clock, of its timestamps, or of this host's clock."""
        self.camera_error_s: float | None = None
        """Camera's clock minus this host's clock at the last sender report, with the delay; None without a report."""
        self._last_s = -np.inf  # capture time of the newest stamped frame
        self._stale_s: float | None = None  # offset of a report that a jump of the timestamps made invalid
        self.restart()

    def restart(self) -> None:
        """Begin a new connection, on which pts have another origin."""
        self._delays = MinimumDelayFilter()
        self._reported_s: float | None = None
        self._offset_s: float | None = None
        self._source = Clock.ARRIVAL
        self._newest_s = -np.inf  # largest observed pts
        self._stamped_s = np.inf  # largest stamped pts
        self._settled_s = np.inf  # pts from which the mapping is stable
        self._fresh_s = np.inf  # pts from which any report is a new one

    def is_jump(self, pts_s: float, arrived_s: float) -> bool:
        """True if the pts of the next packet belongs to another timeline.

        It does if it lies further back than any reordering, or so far ahead that the packet would have arrived early.
        """
        if abs(pts_s - self._newest_s) < REORDER_S or not np.isfinite(self._newest_s):
            return False
        return pts_s < self._newest_s or arrived_s - pts_s < self._delays.floor_s - STEP_S

    def jump(self) -> None:
        """Begin a new timeline on the same connection. Earlier reports are not valid for it."""
        self.jumps += 1
        self._stale_s = self._reported_s
        self.restart()

    def observe(self, pts_s: float, arrived_s: float, reported_s: float | None = None) -> None:
        """Take in the next packet in decoding order.

        arrived_s   this host's clock at the arrival, Unix seconds UTC
        reported_s  the camera's clock for this packet from its sender report, Unix seconds UTC
        """
        if not np.isfinite(self._newest_s):
            self._settled_s, self._fresh_s = pts_s + SETTLE_S, pts_s + FRESH_S
        self._newest_s = max(self._newest_s, pts_s)
        self._delays.add(self._newest_s, arrived_s - pts_s)
        if reported_s is not None:
            self._report(reported_s - pts_s, pts_s)

    def stamp(self, pts_s: Floats) -> tuple[Floats, Clock]:
        """Capture times (P,) of a segment's packets, which were `observe`d before, and the source of these times."""
        first_s, last_s = float(pts_s.min()), float(pts_s.max())
        target_s, source = self._target()
        offset_s = self._steer(target_s, source, first_s, last_s)
        captured_s = pts_s + offset_s
        resume_s = self._last_s + max(_LEAST_GAP_S, _CATCH_UP * (first_s - self._stamped_s))
        late = first_s + offset_s < resume_s
        if late:
            captured_s = np.maximum(captured_s, resume_s + _CATCH_UP * (pts_s - first_s))
        self._last_s, self._stamped_s = float(captured_s.max()), last_s
        return captured_s, Clock.UNSTABLE if late or first_s < self._settled_s else source

    def _report(self, offset_s: float, pts_s: float) -> None:
        """Take in the offset of the latest report.

        libavformat computes the time of each packet from the last report (`rtp_set_prft` in libavformat/rtpdec.c), also
        after a jump of the timestamps. So a report from before the jump is ignored.
        """
        if self._stale_s is not None and abs(offset_s - self._stale_s) < _LEAST_GAP_S and pts_s < self._fresh_s:
            return
        if self._reported_s is not None and abs(offset_s - self._reported_s) > STEP_S:
            self.jumps += 1
        self._stale_s = None
        self.camera_error_s = offset_s - self._delays.floor_s
        self._reported_s = offset_s

    def _target(self) -> tuple[float, Clock]:
        """The offset by the best source, and that source."""
        self._delays.follow()
        floor_s = self._delays.floor_s
        if self._reported_s is not None and abs(self._reported_s - floor_s) <= TRUST_S:
            return self._reported_s, Clock.SYNCHRONISED
        return floor_s, Clock.ARRIVAL

    def _steer(self, target_s: float, source: Clock, first_s: float, last_s: float) -> float:
        """Move the offset towards the target and return it: at once while the mapping is unstable, else by slewing."""
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


class DeclaredClock:
    """Maps the pts of a file to UTC from the declared capture time of its first frame, `start_s`."""

    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self._offset_s: float | None = None
        self._newest_s = -np.inf

    def is_jump(self, pts_s: float, arrived_s: float) -> bool:
        """True if the pts goes back. Gaps of any length are allowed in a file."""
        return pts_s < self._newest_s - REORDER_S

    def jump(self) -> None:
        """Begin a new timeline right after the newest capture time."""
        self._start_s = self._newest_s + (self._offset_s or 0.0) + _LEAST_GAP_S
        self._offset_s, self._newest_s = None, -np.inf

    def observe(self, pts_s: float, arrived_s: float, reported_s: float | None = None) -> None:
        """Take in the next packet in decoding order. Times of arrival are ignored."""
        self._newest_s = max(self._newest_s, pts_s)

    def stamp(self, pts_s: Floats) -> tuple[Floats, Clock]:
        """As `CaptureClock.stamp`."""
        if self._offset_s is None:
            self._offset_s = self._start_s - float(pts_s.min())
        return pts_s + self._offset_s, Clock.DECLARED


StreamClock = CaptureClock | DeclaredClock
