"""The running engine: one thread for every camera, and the pipeline in the middle."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from enum import Enum
from time import monotonic

import structlog

from engine.errors import DeviceLost, SourceError, Stopped
from engine.ingest.recordings import Recordings
from engine.pipeline.loop import Pipeline
from engine.pipeline.mailbox import Mailbox
from engine.stages import Source
from engine.types import Entry, Segment

log = structlog.get_logger()

Action = Callable[[], Sequence[Entry] | None]
"""Work between two batches; returns the entries that it appended, if any."""

_REVIVE_S = 5.0
_IDLE_S = 0.5
_END_S = 15.0
"""Time limit for all cameras together to end: longer than a read time-out, since libavformat cannot be interrupted."""


class CameraReader:
    """One camera's thread: reads segments, keeps them in the recordings, posts them to the mailbox.

    An unexpected error is logged, and the camera is read again after a pause.
    """

    def __init__(self, name: str, source: Source, recordings: Recordings, mailbox: Mailbox) -> None:
        self.name = name
        self._source, self._recordings, self._mailbox = source, recordings, mailbox
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; returns at once."""
        self._stopped.set()
        self._source.close()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the thread; False if it did not end in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._read()
                return
            except SourceError as error:
                log.error("camera given up", camera=self.name, reason=error.reason, error=str(error))
                return
            except Exception:
                log.exception("camera thread failed, starting it again", camera=self.name)
                self._stopped.wait(_REVIVE_S)

    def _read(self) -> None:
        for segment in self._source.read():
            self._recordings.keep(segment)
            self._mailbox.put(segment)
            if self._stopped.is_set():
                return


class RunnerState(Enum):
    """Whether the cameras are read: not yet, now, or no more."""

    NEW = "new"
    RUNNING = "running"
    ENDED = "ended"


class Runner:
    """Feeds a pipeline from cameras until it is stopped; then drains it and closes in the order of the data.

    Cameras come and go while it runs. Each is known by its index in the running configuration, never used again.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        recordings: Recordings,
        mailbox: Mailbox,
        *,
        batch_segments: int,
        overlap: bool = True,
        find_loss: Callable[[], DeviceLost | None] = lambda: None,
    ) -> None:
        """`find_loss` is called before every batch; it returns an error if the GPU is lost."""
        self._find_loss, self._pipeline, self._recordings = find_loss, pipeline, recordings
        self._mailbox, self._batch_segments, self._overlap = mailbox, batch_segments, overlap
        self._readers: dict[int, CameraReader] = {}
        self._actions: deque[tuple[Action, Future[None]]] = deque()
        self._lock = threading.Lock()
        self._state = RunnerState.NEW
        self._stopping = threading.Event()

    def run(self) -> Iterator[Sequence[Entry]]:
        """Yield what every batch appended to the ledger; ends after `stop`, when all that was read is recorded.

        Raises DeviceLost when all that was seen is recorded.
        """
        with ExitStack() as stack:
            stack.callback(self.close)
            self._start_readers()
            yield from self._pipeline.finish_after(self._steps())

    def stop(self) -> None:
        """Ask the engine to end: first the cameras, then what waits. From any thread, also from signal handlers."""
        self._stopping.set()

    def close(self) -> None:
        """Refuse further orders and release all callers that wait, whether it ran or not."""
        with self._lock:
            self._state = RunnerState.ENDED
        for reader in self._readers.values():
            reader.stop()
        while self._actions:
            _, done = self._actions.popleft()
            done.set_exception(Stopped("the engine stops"))

    # -- adding and removing cameras, from any thread

    def add_camera(self, camera: int, name: str, source: Source) -> None:
        """Read one more camera. Every stage must know it already. Raises Stopped."""
        reader = CameraReader(name, source, self._recordings, self._mailbox)
        with self._lock:
            self._require_alive()
            self._readers[camera] = reader
            if self._state is RunnerState.RUNNING:
                reader.start()

    def remove_camera(self, camera: int) -> None:
        """Stop reading a camera and record all that it sent. After that no stage holds data of it.

        Blocks until then, at most for the read time-out and a batch. Raises Stopped.
        """
        with self._lock:
            self._require_alive()
            reader = self._readers.pop(camera)
            started = self._state is RunnerState.RUNNING
        reader.stop()
        while started and not reader.join(_END_S):
            log.warning("camera thread does not end", camera=reader.name)
            self._require_alive()
        self.call_between_batches(lambda: self._finish_camera(camera)).result()

    def call_between_batches(self, action: Action) -> Future[None]:
        """Run `action` between two batches, while every stage is idle, on the thread of `run`. Raises Stopped.

        The future is done after the action; it raises what the action raised, or Stopped if the engine ended before.
        """
        done: Future[None] = Future()
        with self._lock:
            self._require_alive()
            self._actions.append((action, done))
        return done

    @property
    def has_actions(self) -> bool:
        """True if an action waits for the time between two batches."""
        return bool(self._actions)

    def _finish_camera(self, camera: int) -> Sequence[Entry]:
        entries = self._pipeline.step(segments) if (segments := self._mailbox.take_of(camera)) else []
        return [*entries, *self._pipeline.finish_camera(camera)]

    # -- inside

    def _steps(self) -> Iterator[Sequence[Entry]]:
        while not self._stopping.is_set():
            yield from self._pipeline.process(self._batches(), overlap=self._overlap)
            yield from self._act()
        self._stop_readers()
        yield from self._pipeline.process(self._rest(), overlap=self._overlap)

    def _batches(self) -> Iterator[list[Segment]]:
        """Batches until the engine stops, or an action waits for the time between two of them."""
        while not self._stopping.is_set() and not self._actions:
            if error := self._find_loss():
                raise error
            yield self._mailbox.take(self._batch_segments, timeout_s=_IDLE_S)

    def _rest(self) -> Iterator[list[Segment]]:
        while segments := self._mailbox.take(self._batch_segments, timeout_s=0.0):
            yield segments

    def _act(self) -> Iterator[Sequence[Entry]]:
        while self._actions:
            action, done = self._actions.popleft()
            try:
                entries = action() or ()
            except Exception as error:  # noqa: BLE001  raised again by the caller that waits
                done.set_exception(error)
                continue
            done.set_result(None)
            yield entries

    def _start_readers(self) -> None:
        with self._lock:
            self._state = RunnerState.RUNNING
            for reader in self._readers.values():
                reader.start()

    def _stop_readers(self) -> None:
        with self._lock:
            self._state = RunnerState.ENDED
            readers = list(self._readers.values())
        for reader in readers:
            reader.stop()
        until_s = monotonic() + _END_S
        for reader in readers:
            if not reader.join(max(0.0, until_s - monotonic())):
                log.warning("camera thread did not end in time", camera=reader.name)

    def _require_alive(self) -> None:
        if self._state is RunnerState.ENDED:
            raise Stopped("the engine stops")
