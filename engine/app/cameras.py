"""The watched cameras: orders are checked, recorded, and carried out in the running engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

import structlog

from engine.app.camera_store import CameraStore
from engine.app.stage_set import StageSet
from engine.config import CameraConfig
from engine.errors import LedgerError
from engine.ledger import CameraChange, CameraRecord, CameraState, CameraVersion
from engine.metrics import Metrics
from engine.pipeline.runner import Runner
from engine.site import Site
from engine.stages import Source

log = structlog.get_logger()

CameraCheck = Callable[[CameraConfig, Site, bool], list[str]]
"""Returns the warnings about a camera; tries to read it if the flag is true.

Raises ConfigError or CalibrationError, and SourceError if it is tried."""


class CameraManager:
    """Carries out one order at a time. It is recorded first: after a crash the next start finishes it.

    Any thread may call. `add` blocks while the camera is tried; `remove`, `pause` and `update_site` block until all
    that the camera sent is recorded. Every order raises NoCamera, OutOfDate, LedgerError or Stopped.
    """

    def __init__(
        self,
        store: CameraStore,
        stage_set: StageSet,
        runner: Runner,
        open_source: Callable[[int, CameraConfig], Source],
        check: CameraCheck,
        metrics: Metrics,
    ) -> None:
        self._store, self._stage_set, self._runner = store, stage_set, runner
        self._open_source, self._check, self._metrics = open_source, check, metrics
        self._watched: dict[str, int] = {}
        self._next = 0
        self._ordering = threading.Lock()

    def start(self, watched: Sequence[CameraConfig]) -> None:
        """Read the cameras that the stages were opened with, in the same order."""
        for camera in watched:
            self._read(self._next, camera)
            self._next += 1
        self._count_left_out()

    @property
    def watched(self) -> Sequence[str]:
        """The names of the cameras that are watched now."""
        return list(self._watched)

    def all(self) -> Sequence[CameraRecord]:
        """Every camera that is not removed."""
        return self._store.all()

    def get(self, name: str) -> CameraRecord:
        """A camera that is not removed. Raises NoCamera."""
        return self._store.get(name)

    def history(self, name: str) -> Sequence[CameraChange]:
        """The orders about a camera, oldest first."""
        return self._store.history(name)

    def add(
        self, settings: CameraConfig, site: str, still: bytes | None, by: str, *, probe: bool
    ) -> tuple[CameraRecord, list[str]]:
        """Watch one more camera. Returns it with the warnings about it.

        settings  as in the configuration file, `site` empty, the address with ${NAME}s for its secrets
        site      text of a site file; `still` is the picture that it names, if it does
        probe     try the camera first
        Raises what `CameraCheck` does, and RecordConflict if the name is taken.
        """
        with self._one_order():
            draft = self._store.draft(settings, site, still, by)
            warnings = self._check(draft.config, draft.site, probe)
            record = self._store.commit(draft)
            self._add(record)
        return record, warnings

    def update_site(
        self, name: str, expected: int, by: str, site: str, still: bytes | None
    ) -> tuple[CameraRecord, list[str]]:
        """Watch a camera with another site from now on; what it sent before is judged by the old one."""
        with self._one_order():
            draft = self._store.change(name, expected, by, "update_site", site=site, still=still)
            warnings = self._check(draft.config, draft.site, False)
            record = self._store.commit(draft)
            if record.version.state is CameraState.WATCHED:
                self._remove(name)
                self._add(record)
        return record, warnings

    def pause(self, name: str, expected: int, by: str) -> CameraRecord:
        """Stop watching a camera until `resume`."""
        with self._one_order():
            record = self._store.commit(self._store.change(name, expected, by, "pause", state=CameraState.PAUSED))
            self._remove(name)
        return record

    def resume(self, name: str, expected: int, by: str) -> CameraRecord:
        """Watch a paused camera again. Raises what `CameraCheck` does: law and configuration may have changed."""
        with self._one_order():
            draft = self._store.change(name, expected, by, "resume", state=CameraState.WATCHED)
            self._check(draft.config, draft.site, False)
            record = self._store.commit(draft)
            if name not in self._watched:
                self._add(record)
        return record

    def remove(self, name: str, expected: int, by: str) -> CameraVersion:
        """Stop watching a camera for good; its cases stay."""
        with self._one_order():
            version = self._store.remove(name, expected, by)
            self._remove(name)
        return version

    @contextmanager
    def _one_order(self) -> Iterator[None]:
        """One order at a time; after each the cameras that should be watched and are not are counted."""
        with self._ordering:
            try:
                yield
            finally:
                self._count_left_out()

    def _count_left_out(self) -> None:
        with suppress(LedgerError):
            self._metrics.cameras_left_out.set(len(self._store.due() - self._watched.keys()))

    def _add(self, record: CameraRecord) -> None:
        index, self._next = self._next, self._next + 1
        add = partial(self._stage_set.add_camera, index, record.config, record.site)
        self._runner.call_between_batches(add).result()
        self._read(index, record.config)
        log.info("camera added", camera=record.name, version=record.version.version, by=record.version.changed_by)

    def _read(self, index: int, config: CameraConfig) -> None:
        self._runner.add_camera(index, config.name, self._open_source(index, config))
        self._watched[config.name] = index

    def _remove(self, name: str) -> None:
        """Stop watching a camera, if it is watched."""
        index = self._watched.pop(name, None)
        if index is None:
            return
        self._runner.remove_camera(index)
        self._runner.call_between_batches(partial(self._stage_set.remove_camera, index)).result()
        log.info("camera removed", camera=name)
