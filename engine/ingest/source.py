"""Cameras and video files as sources of segments."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Generator, Iterator

import msgspec
import structlog

from engine.config import CameraConfig, redact
from engine.errors import BadStream, SourceError, Unauthorised
from engine.ingest.clock import TRUST_S, CaptureClock, DeclaredClock, StreamClock
from engine.ingest.segmenter import Segmenter
from engine.ingest.stream import Stream, open_stream
from engine.metrics import Metrics
from engine.types import Segment

HEALTHY_S = 10.0
"""After a connection of this length, the retries after a loss begin with the shortest pause again."""
FILE_GOP_S = 60.0
"""Longest GOP of a file. The default of encoders is 250 pictures, and a file has no live latency."""


class Backoff:
    """Pauses between attempts: doubling, capped, and with jitter so that cameras do not reconnect all at once."""

    FIRST_S, LONGEST_S = 0.5, 30.0

    def __init__(self) -> None:
        self._failures = 0

    def reset(self) -> None:
        """Begin with the shortest pause again."""
        self._failures = 0

    def next_s(self, error: SourceError) -> float:
        """The next pause. After a refused password it is the longest at once: cameras lock accounts after few tries."""
        longest = min(self.LONGEST_S, self.FIRST_S * 2.0 ** min(self._failures, 10))
        self._failures += 1
        if isinstance(error, Unauthorised):
            longest = self.LONGEST_S
        return longest * random.uniform(0.5, 1.0)


class _BaseSource:
    """Common part of cameras and files: cuts a stream into segments, and counts in the metrics."""

    def __init__(self, camera: int, config: CameraConfig, metrics: Metrics) -> None:
        self._camera, self._config, self._metrics = camera, config, metrics
        self._log = structlog.get_logger().bind(camera=config.name)
        self._closed = threading.Event()
        self._sequence = 0

    def close(self) -> None:
        """Make `read` return; from any thread.

        `read` returns at once during a pause before a retry, else at the next packet, or within the I/O time-out if the
        camera is silent: PyAV offers no way to interrupt libavformat from another thread.
        """
        self._closed.set()

    def _record_connect(self, stream: Stream) -> None:
        self._metrics.connects.labels(self._config.name).inc()
        self._metrics.connected.labels(self._config.name).set(1)
        size = f"{stream.format.width_px}x{stream.format.height_px}"
        self._log.info("camera connected", url=redact(self._config.url), codec=stream.format.codec, size=size)

    def _segments(self, stream: Stream, clock: StreamClock) -> Iterator[Segment]:
        """Yield the segments of one connection. Raises SourceError after the last, truncated segment."""
        segmenter = Segmenter(
            self._camera,
            stream.format,
            clock,
            segment_s=self._config.segment_s,
            longest_gop_s=self._config.longest_gop_s,
            first_sequence=self._sequence,
            on_discard=self._record_discard,
        )
        # The last segment is complete up to the loss, so it must be yielded before the error is raised.
        lost: SourceError | None = None
        try:
            for packet in stream.packets():
                if self._closed.is_set():
                    break
                if segment := segmenter.push(packet):
                    yield self._record(segment)
        except SourceError as error:
            lost = error
        finally:
            self._metrics.connected.labels(self._config.name).set(0)
        if segment := segmenter.finish():
            yield self._record(segment)
        if lost is not None:
            raise lost

    def _record(self, segment: Segment) -> Segment:
        self._sequence = segment.sequence + 1
        metrics, name = self._metrics, self._config.name
        metrics.segments.labels(name).inc()
        metrics.packets.labels(name).inc(len(segment.pts))
        metrics.received_bytes.labels(name).inc(len(segment.payload))
        metrics.last_frame_s.labels(name).set(segment.ended_s)
        metrics.clock_state.labels(name).set(segment.clock)
        return segment

    def _record_discard(self, reason: str, first: bool) -> None:
        self._metrics.packets.labels(self._config.name).inc()
        self._metrics.discarded.labels(self._config.name).inc()
        if not first:
            return
        self._log.info("packets discarded until the next key frame", reason=reason)
        if reason == "long_gop":
            self._metrics.long_gops.labels(self._config.name).inc()
            self._log.warning("GOP too long: configure a shorter one", longest_gop_s=self._config.longest_gop_s)


class RtspSource(_BaseSource):
    """A camera. Only one thread may call `read`."""

    def __init__(self, camera: int, config: CameraConfig, metrics: Metrics) -> None:
        super().__init__(camera, config, metrics)
        self._clock = CaptureClock()
        self._jumps = 0
        self._backoff = Backoff()

    def read(self) -> Generator[Segment]:
        """Yield segments until `close`. Errors are counted and logged, and the camera is connected again.

        Blocks at most for the I/O time-out at a time.
        """
        while not self._closed.is_set():
            try:
                yield from self._read_connection()
            except SourceError as error:
                if not self._closed.is_set():
                    self._wait_after(error)

    def _read_connection(self) -> Iterator[Segment]:
        with open_stream(self._config) as stream:
            self._record_connect(stream)
            self._clock.restart()
            began_s = time.monotonic()
            for segment in self._segments(stream, self._clock):
                self._record_jumps()
                if time.monotonic() - began_s > HEALTHY_S:
                    self._backoff.reset()
                yield segment

    def _wait_after(self, error: SourceError) -> None:
        wait_s = self._backoff.next_s(error)
        self._metrics.reconnects.labels(self._config.name, error.reason).inc()
        self._log.warning("camera lost", reason=error.reason, error=str(error), retry_s=round(wait_s, 1))
        self._closed.wait(wait_s)

    def _record_jumps(self) -> None:
        jumps = self._clock.jumps - self._jumps
        if not jumps:
            return
        self._jumps = self._clock.jumps
        self._metrics.clock_jumps.labels(self._config.name).inc(jumps)
        off_by_s = self._clock.camera_error_s
        self._log.warning(
            "clock jumped", camera_error_s=off_by_s, trusted=off_by_s is not None and abs(off_by_s) <= TRUST_S
        )


class FileSource(_BaseSource):
    """A video file, played once. `start_s` is the declared capture time of its first frame."""

    def __init__(
        self, camera: int, config: CameraConfig, metrics: Metrics, *, start_s: float, realtime: bool = True
    ) -> None:
        """`config.url` is the path of the file, `start_s` Unix seconds UTC. `realtime` plays at the file's own
        speed."""
        patient = msgspec.structs.replace(config, longest_gop_s=max(config.longest_gop_s, FILE_GOP_S))
        super().__init__(camera, patient, metrics)
        self._start_s, self._realtime = start_s, realtime

    def read(self) -> Generator[Segment]:
        """Yield segments to the end of the file. In real time, a segment comes when its last frame is due.

        Raises SourceError.
        """
        clock = DeclaredClock(self._start_s)
        began_s, first = time.monotonic(), self._sequence
        with open_stream(self._config) as stream:
            self._record_connect(stream)
            for segment in self._segments(stream, clock):
                if self._realtime:
                    self._closed.wait(max(0.0, began_s + segment.ended_s - self._start_s - time.monotonic()))
                yield segment
        if self._sequence == first and not self._closed.is_set():
            raise BadStream(f"camera {self._config.name}: {redact(self._config.url)}: no key frame with a timestamp")
