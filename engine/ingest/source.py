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
from engine.ingest.clock import TRUST_S, CaptureClock, DeclaredClock
from engine.ingest.segmenter import Segmenter, Timekeeper
from engine.ingest.stream import Stream, opened
from engine.metrics import Metrics
from engine.types import Segment

HEALTHY_S = 10.0
"""After streaming for so long, the next loss is a new story: its first retry comes soon."""
FILE_GOP_S = 60.0
"""A file may go for so long without a key frame: encoders' default is 250 pictures, and nobody waits for it live."""


class Backoff:
    """Waiting times between attempts: doubling, capped, and jittered so that cameras do not come back in step."""

    FIRST_S, LONGEST_S = 0.5, 30.0

    def __init__(self) -> None:
        self._failures = 0

    def reset(self) -> None:
        self._failures = 0

    def next_s(self, error: SourceError) -> float:
        """A refused password is tried at the slowest pace at once: cameras lock accounts that knock too often."""
        longest = min(self.LONGEST_S, self.FIRST_S * 2.0 ** min(self._failures, 10))
        self._failures += 1
        if isinstance(error, Unauthorised):
            longest = self.LONGEST_S
        return longest * random.uniform(0.5, 1.0)


class _Reader:
    """What cameras and files have in common: cutting a stream into segments, and keeping the books."""

    def __init__(self, camera: int, config: CameraConfig, metrics: Metrics) -> None:
        self._camera, self._config, self._metrics = camera, config, metrics
        self._log = structlog.get_logger().bind(camera=config.name)
        self._closed = threading.Event()
        self._sequence = 0

    def close(self) -> None:
        """Make `read` return; from any thread.

        At once where it waits to try again, at the next packet where they come, within the I/O time-out where the
        camera is silent: libavformat cannot be interrupted from outside.
        """
        self._closed.set()

    def _connected(self, stream: Stream) -> None:
        self._metrics.connects.labels(self._config.name).inc()
        self._metrics.connected.labels(self._config.name).set(1)
        size = f"{stream.format.width_px}x{stream.format.height_px}"
        self._log.info("camera connected", url=redact(self._config.url), codec=stream.format.codec, size=size)

    def _segments(self, stream: Stream, clock: Timekeeper) -> Iterator[Segment]:
        """One connection's segments; the last one, broken off by an error, comes before the error is raised."""
        segmenter = Segmenter(
            self._camera,
            stream.format,
            clock,
            segment_s=self._config.segment_s,
            longest_gop_s=self._config.longest_gop_s,
            first_sequence=self._sequence,
            discarded=self._discarded,
        )
        lost: SourceError | None = None
        try:
            for packet in stream.packets():
                if self._closed.is_set():
                    break
                if segment := segmenter.push(packet):
                    yield self._booked(segment)
        except SourceError as error:
            lost = error
        finally:
            self._metrics.connected.labels(self._config.name).set(0)
        if segment := segmenter.finish():
            yield self._booked(segment)
        if lost is not None:
            raise lost

    def _booked(self, segment: Segment) -> Segment:
        self._sequence = segment.sequence + 1
        metrics, name = self._metrics, self._config.name
        metrics.segments.labels(name).inc()
        metrics.packets.labels(name).inc(len(segment.pts))
        metrics.received_bytes.labels(name).inc(len(segment.payload))
        metrics.last_frame_s.labels(name).set(segment.ended_s)
        metrics.clock_state.labels(name).set(segment.clock)
        return segment

    def _discarded(self, reason: str, first: bool) -> None:
        self._metrics.packets.labels(self._config.name).inc()
        self._metrics.discarded.labels(self._config.name).inc()
        if not first:
            return
        self._log.info("packets left out until the next key frame", reason=reason)
        if reason == "long_gop":
            self._metrics.long_gops.labels(self._config.name).inc()
            self._log.warning("no key frame for too long: set a shorter GOP", longest_gop_s=self._config.longest_gop_s)


class RtspSource(_Reader):
    """A camera. `read` is for one thread."""

    def __init__(self, camera: int, config: CameraConfig, metrics: Metrics) -> None:
        super().__init__(camera, config, metrics)
        self._clock = CaptureClock()
        self._jumps = 0
        self._backoff = Backoff()

    def read(self) -> Generator[Segment]:
        """Segments for ever: whatever goes wrong is counted and logged, and the camera is connected to again.

        Blocks at most for the I/O time-out at a time; ends only after `close`.
        """
        while not self._closed.is_set():
            try:
                yield from self._connection()
            except SourceError as error:
                if not self._closed.is_set():
                    self._retry_after(error)

    def _connection(self) -> Iterator[Segment]:
        with opened(self._config) as stream:
            self._connected(stream)
            self._clock.restart()
            began_s = time.monotonic()
            for segment in self._segments(stream, self._clock):
                self._watch_clock()
                if time.monotonic() - began_s > HEALTHY_S:
                    self._backoff.reset()
                yield segment

    def _retry_after(self, error: SourceError) -> None:
        wait_s = self._backoff.next_s(error)
        self._metrics.reconnects.labels(self._config.name, error.reason).inc()
        self._log.warning("camera lost", reason=error.reason, error=str(error), retry_s=round(wait_s, 1))
        self._closed.wait(wait_s)

    def _watch_clock(self) -> None:
        jumps = self._clock.jumps - self._jumps
        if not jumps:
            return
        self._jumps = self._clock.jumps
        self._metrics.clock_jumps.labels(self._config.name).inc(jumps)
        off_by_s = self._clock.camera_error_s
        self._log.warning(
            "clock jumped", camera_error_s=off_by_s, trusted=off_by_s is not None and abs(off_by_s) <= TRUST_S
        )


class FileSource(_Reader):
    """A video file, played once as if its first frame had been taken at `start_s`."""

    def __init__(
        self, camera: int, config: CameraConfig, metrics: Metrics, *, start_s: float, realtime: bool = True
    ) -> None:
        """`config.url` is the file's path, `start_s` Unix seconds UTC; `realtime` plays at the file's own speed."""
        patient = msgspec.structs.replace(config, longest_gop_s=max(config.longest_gop_s, FILE_GOP_S))
        super().__init__(camera, patient, metrics)
        self._start_s, self._realtime = start_s, realtime

    def read(self) -> Generator[Segment]:
        """Segments to the end of the file, in real time each when its last frame is due. Raises SourceError."""
        clock = DeclaredClock(self._start_s)
        began_s, first = time.monotonic(), self._sequence
        with opened(self._config) as stream:
            self._connected(stream)
            for segment in self._segments(stream, clock):
                if self._realtime:
                    self._closed.wait(max(0.0, began_s + segment.ended_s - self._start_s - time.monotonic()))
                yield segment
        if self._sequence == first and not self._closed.is_set():
            raise BadStream(f"camera {self._config.name}: {redact(self._config.url)}: not one key frame with a time")
