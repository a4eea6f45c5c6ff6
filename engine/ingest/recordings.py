"""The recent recordings of all cameras, compressed, in memory."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engine.types import Segment


@dataclass(slots=True)
class _Ring:
    segments: deque[Segment] = field(default_factory=deque)
    length_s: float = 0.0
    size_bytes: int = 0
    heard_s: float = 0.0


class Recordings:
    """One ring of segments for each camera, bounded by seconds and by bytes. Any thread may call any method.

    A ring keeps at least the newest segment, however large. Its seconds are lengths of recording, not differences of
    capture times: a clock that jumps neither empties it nor fills it forever. A camera that was removed reads like one
    that never sent anything.
    """

    def __init__(self, keep_s: float, keep_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep `keep_s` seconds and `keep_bytes` bytes of each camera; `clock` gives the time of arrival."""
        self._keep_s, self._keep_bytes, self._clock = keep_s, keep_bytes, clock
        self._rings: dict[int, _Ring] = {}
        self._lock = threading.Lock()

    def add_camera(self, camera: int) -> None:
        """Make room for one more camera, before its first segment."""
        with self._lock:
            self._rings[camera] = _Ring()

    def remove_camera(self, camera: int) -> None:
        """Drop the recording of a camera that sends no more."""
        with self._lock:
            del self._rings[camera]

    def keep(self, segment: Segment) -> None:
        """Remember the next segment of a camera. Takes microseconds. Raises KeyError for an unknown camera."""
        with self._lock:
            ring = self._rings[segment.camera]
            ring.segments.append(segment)
            ring.length_s += _length_s(segment)
            ring.size_bytes += len(segment.payload)
            ring.heard_s = self._clock()
            while len(ring.segments) > 1 and (ring.length_s > self._keep_s or ring.size_bytes > self._keep_bytes):
                oldest = ring.segments.popleft()
                ring.length_s -= _length_s(oldest)
                ring.size_bytes -= len(oldest.payload)

    def between(self, camera: int, from_s: float, to_s: float) -> Sequence[Segment]:
        """The kept segments with a frame from `from_s` to `to_s` (capture time, both included), in order of arrival.

        Leaves out the earlier segment if `from_s` falls between the last frame of one and the first of the next.
        """
        return [one for one in self._segments(camera) if one.ended_s >= from_s and one.began_s <= to_s]

    def reached_s(self, camera: int) -> float:
        """Capture time of the newest kept frame; minus infinity if there is none."""
        with self._lock:
            ring = self._rings.get(camera)
            newest = ring.segments[-1] if ring and ring.segments else None
        return newest.ended_s if newest else float("-inf")

    def heard_s(self, camera: int) -> float:
        """When the newest segment arrived, on `clock`; 0 if there is none."""
        with self._lock:
            ring = self._rings.get(camera)
            return ring.heard_s if ring else 0.0

    def longest_s(self, camera: int) -> float:
        """Length of the longest kept segment; 0 if there is none."""
        return max(map(_length_s, self._segments(camera)), default=0.0)

    def _segments(self, camera: int) -> Sequence[Segment]:
        """A copy, to search without the lock: every camera's thread needs it for each segment."""
        with self._lock:
            ring = self._rings.get(camera)
            return tuple(ring.segments) if ring else ()


def _length_s(segment: Segment) -> float:
    """From the first frame to the end of the last one, which is assumed to last as long as the others on average."""
    frames = len(segment.captured_s)
    span_s = segment.ended_s - segment.began_s
    return span_s * frames / (frames - 1) if frames > 1 else span_s
