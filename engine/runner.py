"""The running engine: a thread for every camera, the pipeline in the middle, the service and the metrics beside it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

import structlog

from engine.errors import DeviceLost, SourceError
from engine.mailbox import Mailbox
from engine.pipeline import Pipeline
from engine.stages import Prosecutor, Source
from engine.types import Entry, Segment

log = structlog.get_logger()

_REVIVE_S = 5.0
_IDLE_S = 0.5


class Feeder:
    """One camera's thread: reads segments, keeps them for the evidence, posts them to the mailbox.

    What goes wrong in it stays in it: an unexpected error is logged and the camera is read again after a pause.
    """

    def __init__(self, name: str, source: Source, prosecutor: Prosecutor, mailbox: Mailbox) -> None:
        self.name = name
        self._source = source
        self._prosecutor = prosecutor
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
            self._prosecutor.keep(segment)
            self._mailbox.put(segment)
            if self._stopped.is_set():
                return


class Runner:
    """Feeds a pipeline from cameras until it is stopped, then drains and closes in the order of the data's way."""

    def __init__(
        self,
        pipeline: Pipeline,
        sources: Mapping[str, Source],
        prosecutor: Prosecutor,
        mailbox: Mailbox,
        *,
        batch_segments: int,
        overlap: bool = True,
    ) -> None:
        self._pipeline = pipeline
        self._mailbox = mailbox
        self._batch_segments = batch_segments
        self._overlap = overlap
        self._feeders = [Feeder(name, source, prosecutor, mailbox) for name, source in sources.items()]
        self._stopping = threading.Event()
        self._lost: DeviceLost | None = None

    def run(self) -> Iterator[Sequence[Entry]]:
        """Yield what every batch appended to the register; ends after `stop`, when all that was read is settled.

        Raises DeviceLost, when all that was seen is settled.
        """
        with ExitStack() as stack:
            for feeder in self._feeders:
                feeder.start()
                stack.callback(feeder.stop)
            turn = self._pipeline.overlapped if self._overlap else self._pipeline.plain
            yield from turn(self._batches())

    def stop(self) -> None:
        """Ask the engine to end: cameras first, then what waits is worked off. From any thread, signal handlers too."""
        self._stopping.set()

    def lose(self, error: DeviceLost) -> None:
        """The GPU is lost: settle what was seen and let `run` raise the error. From any thread."""
        self._lost = error
        self._stopping.set()

    def _batches(self) -> Iterator[list[Segment]]:
        while not self._stopping.is_set():
            yield self._mailbox.take(self._batch_segments, timeout_s=_IDLE_S)
        if self._lost is not None:
            raise self._lost
        self._stop_feeders()
        while segments := self._mailbox.take(self._batch_segments, timeout_s=0.0):
            yield segments

    def _stop_feeders(self) -> None:
        for feeder in self._feeders:
            feeder.stop()
        for feeder in self._feeders:
            if not feeder.join(timeout_s=15.0):
                log.warning("camera thread did not end in time", camera=feeder.name)
