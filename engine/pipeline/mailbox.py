"""Between the cameras and the batch: a bounded mailbox that is fair to every camera.

Under load whole segments are dropped, the oldest first, each counted with its reason; never single packets, which would
leave a decoder with references it does not have. The camera with the most waiting pays first.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from engine.metrics import Metrics
from engine.types import Segment


class Mailbox:
    """Segments of many cameras, in order for each of them. Every method may be called from any thread."""

    def __init__(
        self, capacity: int, per_camera: int, metrics: Metrics, camera_name: Callable[[int], str] = str
    ) -> None:
        """Hold at most `capacity` segments, of one camera at most `per_camera`; `camera_name` gives metrics' labels."""
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
        """Add a segment; never blocks. What does not fit any more is dropped; after `close` it is this segment."""
        with self._changed:
            if self._closed:
                self._dropped(segment.camera, "stopped")
                return
            queue = self._waiting.setdefault(segment.camera, deque())
            queue.append(segment)
            self._count += 1
            if len(queue) > self._per_camera:
                self._drop_oldest(segment.camera, "camera_full")
            elif self._count > self._capacity:
                self._drop_oldest(max(self._waiting, key=lambda camera: len(self._waiting[camera])), "mailbox_full")
            self._gauge(segment.camera)
            self._changed.notify()

    def take(self, most: int, timeout_s: float) -> list[Segment]:
        """Up to `most` segments, one of each camera in turn; those of one camera come in order.

        Blocks until there is at least one, or the time is over, or the mailbox is closed: then the list may be empty.
        What was put before `close` can still be taken.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not self._count and not self._closed:
                remaining_s = deadline - time.monotonic()
                if remaining_s <= 0 or not self._changed.wait(remaining_s):
                    break
            return [self._next() for _ in range(min(most, self._count))]

    def take_of(self, camera: int) -> list[Segment]:
        """All that waits of one camera, in order; blocks for nothing."""
        with self._changed:
            queue = self._waiting.pop(camera, deque())
            self._count -= len(queue)
            self._gauge(camera)
            return list(queue)

    def close(self) -> None:
        """Accept no more and wake who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed

    def _next(self) -> Segment:
        camera, queue = self._waiting.popitem(last=False)
        segment = queue.popleft()
        self._count -= 1
        if queue:
            self._waiting[camera] = queue
        self._gauge(camera)
        return segment

    def _drop_oldest(self, camera: int, reason: str) -> None:
        queue = self._waiting[camera]
        queue.popleft()
        self._count -= 1
        if not queue:
            del self._waiting[camera]
        self._dropped(camera, reason)
        self._gauge(camera)

    def _dropped(self, camera: int, reason: str) -> None:
        self._metrics.dropped.labels(self._camera_name(camera), reason).inc()

    def _gauge(self, camera: int) -> None:
        self._metrics.queued.labels(self._camera_name(camera)).set(len(self._waiting.get(camera, ())))
