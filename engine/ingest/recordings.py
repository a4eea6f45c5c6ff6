"""The recent recordings of all cameras, compressed, in memory."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from engine.types import Segment


class Recordings:
    """One ring of segments for each camera, bounded by seconds and by bytes. Any thread may call any method.

    A camera that was removed reads like one that never sent anything: what looks back at it finds nothing.
    `clock` is in monotonic seconds and only tells when a segment arrived.
    """

    def __init__(self, keep_s: float, keep_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`keep_s` seconds and `keep_bytes` bytes of each camera, at most."""
        self._keep_s = keep_s
        self._keep_bytes = keep_bytes
        self._clock = clock
        self._rings: dict[int, _Ring] = {}
        self._empty = _Ring(keep_s, keep_bytes)

    def add_camera(self, camera: int) -> None:
        """Make room for one more camera, before its first segment."""
        self._rings[camera] = _Ring(self._keep_s, self._keep_bytes)

    def remove_camera(self, camera: int) -> None:
        """Drop the recording of a camera that sends no more."""
        del self._rings[camera]

    def keep(self, segment: Segment) -> None:
        """Remember the next segment of a camera. Takes microseconds. Raises KeyError for an unknown camera."""
        self._rings[segment.camera].add(segment, self._clock())

    def between(self, camera: int, from_s: float, to_s: float) -> Sequence[Segment]:
        """The kept segments with a frame from `from_s` to `to_s` (capture time, both included), in order of arrival.

        Leaves out the earlier segment if `from_s` falls between the last frame of one and the first of the next.
        """
        return self._ring(camera).between(from_s, to_s)

    def reached_s(self, camera: int) -> float:
        """Capture time of the newest kept frame; minus infinity if there is none."""
        return self._ring(camera).reached_s

    def heard_s(self, camera: int) -> float:
        """When the newest segment arrived, on `clock`; 0 if there is none."""
        return self._ring(camera).heard_s

    def longest_s(self, camera: int) -> float:
        """Length of the longest kept segment; 0 if there is none."""
        return self._ring(camera).longest_s

    def __len__(self) -> int:
        """Number of cameras with a ring."""
        return len(self._rings)

    def _ring(self, camera: int) -> _Ring:
        return self._rings.get(camera, self._empty)


class _Ring:
    """The recent recording of one camera.

    Keeps at least the newest segment, however large. Seconds are lengths of recording, not differences of capture
    times: a clock that jumps neither empties the ring nor fills it forever.
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
        with self._lock:
            return [segment for segment in self._segments if segment.ended_s >= from_s and segment.began_s <= to_s]

    @property
    def reached_s(self) -> float:
        with self._lock:
            return self._segments[-1].ended_s if self._segments else float("-inf")

    @property
    def heard_s(self) -> float:
        with self._lock:
            return self._heard_s

    @property
    def longest_s(self) -> float:
        with self._lock:
            return max((_length_s(segment) for segment in self._segments), default=0.0)


def _length_s(segment: Segment) -> float:
    """From the first frame to the end of the last one, which is assumed to last as long as the others on average."""
    frames = len(segment.captured_s)
    span_s = segment.ended_s - segment.began_s
    return span_s * frames / (frames - 1) if frames > 1 else span_s
