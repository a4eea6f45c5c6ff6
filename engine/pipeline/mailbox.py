"""A bounded mailbox between the cameras and the pipeline, fair to every camera.

Under load it drops whole segments, the oldest first, and counts each with its reason; it never drops single packets,
because a decoder would miss their references (RFC 6184). The camera with the most waiting segments loses first.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from engine.metrics import Metrics
from engine.types import Segment


class Mailbox:
    """Segments of many cameras, in order for each of them. Any thread may call any method."""

    def __init__(
        self, capacity: int, per_camera: int, metrics: Metrics, camera_name: Callable[[int], str] = str
    ) -> None:
        """Hold at most `capacity` segments, of one camera at most `per_camera`; `camera_name` labels the metrics."""
        if capacity < 1 or per_camera < 1:
            raise ValueError(f"a mailbox holds at least one segment, not {capacity} and {per_camera} of a camera")
        self._capacity, self._per_camera = capacity, per_camera
        self._metrics, self._camera_name = metrics, camera_name
        self._waiting: OrderedDict[int, deque[Segment]] = OrderedDict()  # by camera, the next to be served first
        self._count = 0
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return self._count

    def put(self, segment: Segment) -> None:
        """Add a segment; never blocks. If the mailbox is full, drops an older one; after `close`, drops this one."""
        with self._changed:
            if self._closed:
                self._count_drop(segment.camera, "stopped")
                return
            queue = self._waiting.setdefault(segment.camera, deque())
            queue.append(segment)
            self._count += 1
            if len(queue) > self._per_camera:
                self._drop_oldest(segment.camera, "camera_full")
            elif self._count > self._capacity:
                self._drop_oldest(max(self._waiting, key=lambda camera: len(self._waiting[camera])), "mailbox_full")
            self._show_length(segment.camera)
            self._changed.notify()

    def take(self, most: int, timeout_s: float) -> list[Segment]:
        """Take up to `most` segments, one of each camera in turn; the segments of one camera keep their order.

        Blocks until there is at least one. Returns an empty list after `timeout_s`, or if the mailbox is closed and
        empty.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not self._count and not self._closed:
                remaining_s = deadline - time.monotonic()
                if remaining_s <= 0 or not self._changed.wait(remaining_s):
                    break
            return [self._next() for _ in range(min(most, self._count))]

    def take_of(self, camera: int) -> list[Segment]:
        """Take all waiting segments of one camera, in order; never blocks."""
        with self._changed:
            queue = self._waiting.pop(camera, deque())
            self._count -= len(queue)
            self._show_length(camera)
            return list(queue)

    def close(self) -> None:
        """Accept no more segments, and wake the threads that wait in `take`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._closed

    def _next(self) -> Segment:
        camera, queue = self._waiting.popitem(last=False)
        segment = queue.popleft()
        self._count -= 1
        if queue:
            self._waiting[camera] = queue
        self._show_length(camera)
        return segment

    def _drop_oldest(self, camera: int, reason: str) -> None:
        queue = self._waiting[camera]
        queue.popleft()
        self._count -= 1
        if not queue:
            del self._waiting[camera]
        self._count_drop(camera, reason)
        self._show_length(camera)

    def _count_drop(self, camera: int, reason: str) -> None:
        self._metrics.dropped.labels(self._camera_name(camera), reason).inc()

    def _show_length(self, camera: int) -> None:
        self._metrics.queued.labels(self._camera_name(camera)).set(len(self._waiting.get(camera, ())))
