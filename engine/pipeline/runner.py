"""The running engine: a thread for every camera, the pipeline in the middle, the service and the metrics beside it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from time import monotonic

import structlog

from engine.errors import DeviceLost, SourceError, Stopped
from engine.pipeline.loop import Pipeline
from engine.pipeline.mailbox import Mailbox
from engine.stages import EvidenceBuilder, Source
from engine.types import Entry, Segment

log = structlog.get_logger()

Action = Callable[[], Sequence[Entry]]
"""What is done between two batches; returns what it appended."""

_REVIVE_S = 5.0
_IDLE_S = 0.5
_END_S = 15.0
"""All cameras together get this long to end: longer than a read time-out, for libavformat cannot be interrupted."""


class CameraReader:
    """One camera's thread: reads segments, keeps them for the evidence, posts them to the mailbox.

    What goes wrong in it stays in it: an unexpected error is logged and the camera is read again after a pause.
    """

    def __init__(self, name: str, source: Source, evidence_builder: EvidenceBuilder, mailbox: Mailbox) -> None:
        self.name = name
        self._source = source
        self._evidence_builder = evidence_builder
        self._mailbox = mailbox
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)

    def start(self) -> None:
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
                self._feed()
                return
            except SourceError as error:
                log.error("camera given up", camera=self.name, reason=error.reason, error=str(error))
                return
            except Exception:
                log.exception("camera thread failed, starting it again", camera=self.name)
                self._stopped.wait(_REVIVE_S)

    def _feed(self) -> None:
        for segment in self._source.read():
            self._evidence_builder.keep(segment)
            self._mailbox.put(segment)
            if self._stopped.is_set():
                return


class Runner:
    """Feeds a pipeline from cameras until it is stopped, then drains and closes in the order of the data's way.

    Cameras join and leave while it runs, each known by its index in the running configuration, never used again.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        evidence_builder: EvidenceBuilder,
        mailbox: Mailbox,
        *,
        batch_segments: int,
        overlap: bool = True,
        lost: Callable[[], DeviceLost | None] = lambda: None,
    ) -> None:
        """`lost` is asked before every batch whether the GPU is lost."""
        self._lost = lost
        self._pipeline = pipeline
        self._evidence_builder = evidence_builder
        self._mailbox = mailbox
        self._batch_segments = batch_segments
        self._overlap = overlap
        self._readers: dict[int, CameraReader] = {}
        self._actions: deque[tuple[Action, Future[None]]] = deque()
        self._lock = threading.Lock()
        self._state = "new"
        self._stopping = threading.Event()

    def run(self) -> Iterator[Sequence[Entry]]:
        """Yield what every batch appended to the register; ends after `stop`, when all that was read is settled.

        Raises DeviceLost, when all that was seen is settled.
        """
        with ExitStack() as stack:
            stack.callback(self.close)
            self._begin()
            yield from self._pipeline.to_the_end(self._steps())

    def stop(self) -> None:
        """Ask the engine to end: cameras first, then what waits is worked off. From any thread, signal handlers too."""
        self._stopping.set()

    def close(self) -> None:
        """However it ended, or never began: take no more orders, and let nobody wait for ever."""
        with self._lock:
            self._state = "ended"
        for reader in self._readers.values():
            reader.stop()
        while self._actions:
            _, done = self._actions.popleft()
            done.set_exception(Stopped("the engine stops"))

    # -- cameras that come and go, from any thread

    def join(self, camera: int, name: str, source: Source) -> None:
        """Read one more camera, which every stage knows already. Raises Stopped."""
        reader = CameraReader(name, source, self._evidence_builder, self._mailbox)
        with self._lock:
            self._require_alive()
            self._readers[camera] = reader
            if self._state == "running":
                reader.start()

    def leave(self, camera: int) -> None:
        """Read a camera no more and settle all that it sent; blocks for its read time-out at the most. Raises Stopped.

        Then no stage holds anything that waits for it.
        """
        with self._lock:
            self._require_alive()
            reader = self._readers.pop(camera)
            started = self._state == "running"
        reader.stop()
        while started and not reader.join(_END_S):
            log.warning("camera thread does not end", camera=reader.name)
            self._require_alive()
        self.between(lambda: self._settle(camera)).result()

    def between(self, action: Action) -> Future[None]:
        """Do something between two batches, while every stage is idle, on the thread of `run`.

        The future is done when it was done; what it raises is raised there, Stopped where the engine has ended.
        """
        done: Future[None] = Future()
        with self._lock:
            self._require_alive()
            self._actions.append((action, done))
        return done

    @property
    def waits(self) -> bool:
        """Does somebody wait for the time between two batches?"""
        return bool(self._actions)

    def _settle(self, camera: int) -> Sequence[Entry]:
        entries = [*self._pipeline.step(segments)] if (segments := self._mailbox.take_of(camera)) else []
        return [*entries, *self._pipeline.leave(camera)]

    # -- inside

    def _steps(self) -> Iterator[Sequence[Entry]]:
        while not self._stopping.is_set():
            yield from self._pipeline.flow(self._batches(), overlap=self._overlap)
            yield from self._act()
        self._stop_readers()
        yield from self._pipeline.flow(self._rest(), overlap=self._overlap)

    def _batches(self) -> Iterator[list[Segment]]:
        """Batches until the engine stops, or somebody waits for the time between two of them."""
        while not self._stopping.is_set() and not self._actions:
            if error := self._lost():
                raise error
            yield self._mailbox.take(self._batch_segments, timeout_s=_IDLE_S)

    def _rest(self) -> Iterator[list[Segment]]:
        while segments := self._mailbox.take(self._batch_segments, timeout_s=0.0):
            yield segments

    def _act(self) -> Iterator[Sequence[Entry]]:
        while self._actions:
            action, done = self._actions.popleft()
            try:
                entries = action()
            except Exception as error:  # noqa: BLE001  raised again by whoever waits
                done.set_exception(error)
                continue
            done.set_result(None)
            yield entries

    def _begin(self) -> None:
        with self._lock:
            self._state = "running"
            for reader in self._readers.values():
                reader.start()

    def _stop_readers(self) -> None:
        with self._lock:
            self._state = "ended"
            readers = list(self._readers.values())
        for reader in readers:
            reader.stop()
        until_s = monotonic() + _END_S
        for reader in readers:
            if not reader.join(max(0.0, until_s - monotonic())):
                log.warning("camera thread did not end in time", camera=reader.name)

    def _require_alive(self) -> None:
        if self._state == "ended":
            raise Stopped("the engine stops")
