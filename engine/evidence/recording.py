"""The recent recording of one camera, compressed, in memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from engine.ingest.remux import runs
from engine.types import Segment


class Recording:
    """A ring of segments, bounded by seconds and by bytes. Any thread may add, any may look.

    At least the newest segment is kept, however large. Seconds are those recorded, not the distance between capture
    times: a clock that jumps neither empties the ring nor fills it for ever.
    """

    def __init__(self, keep_s: float, keep_bytes: int) -> None:
        self._keep_s = keep_s
        self._keep_bytes = keep_bytes
        self._lock = threading.Lock()
        self._segments: deque[Segment] = deque()
        self._length_s = 0.0
        self._bytes = 0
        self._heard_s = 0.0

    def add(self, segment: Segment, now_s: float) -> None:
        """Put in the next segment; `now_s` is when it came, on the clock that `heard_s` is read with."""
        with self._lock:
            self._segments.append(segment)
            self._length_s += _length_s(segment)
            self._bytes += len(segment.payload)
            self._heard_s = now_s
            while len(self._segments) > 1 and (self._length_s > self._keep_s or self._bytes > self._keep_bytes):
                oldest = self._segments.popleft()
                self._length_s -= _length_s(oldest)
                self._bytes -= len(oldest.payload)

    def between(self, from_s: float, to_s: float) -> Sequence[Segment]:
        """The segments with a frame from `from_s` to `to_s`, capture time, both included; in the order they came.

        Where `from_s` falls between two segments that are one recording, the earlier one is left out.
        """
        with self._lock:
            return [segment for segment in self._segments if segment.ended_s >= from_s and segment.began_s <= to_s]

    @property
    def reached_s(self) -> float:
        """Capture time of the latest frame of the newest segment; minus infinity before the first."""
        with self._lock:
            return self._segments[-1].ended_s if self._segments else float("-inf")

    @property
    def heard_s(self) -> float:
        """When the newest segment came."""
        with self._lock:
            return self._heard_s

    @property
    def longest_s(self) -> float:
        """Length of the longest segment that is kept."""
        with self._lock:
            return max((_length_s(segment) for segment in self._segments), default=0.0)


def _length_s(segment: Segment) -> float:
    """From the first frame to the end of the last one, taken to last as long as the others do."""
    frames = len(segment.captured_s)
    span_s = segment.ended_s - segment.began_s
    return span_s * frames / (frames - 1) if frames > 1 else span_s


def run_around(segments: Sequence[Segment], instant_s: float) -> Sequence[Segment]:
    """The uninterrupted run, of one codec and size, that holds the instant or comes nearest to it."""
    return min(runs(segments), key=lambda run: _apart_s(run, instant_s), default=())


def _apart_s(run: Sequence[Segment], instant_s: float) -> float:
    began_s = min(segment.began_s for segment in run)
    ended_s = max(segment.ended_s for segment in run)
    return max(began_s - instant_s, instant_s - ended_s, 0.0)
