"""The cameras that are watched now: orders are checked, put on record, and carried out in the running engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

import structlog

from engine.app.camera_store import CameraRecord, CameraStore
from engine.config import CameraConfig
from engine.errors import LedgerError
from engine.ledger import CameraChange, CameraVersion
from engine.metrics import Metrics
from engine.pipeline.runner import Runner
from engine.site import Site
from engine.stages import Source
from engine.types import Entry

log = structlog.get_logger()


class Crew(Protocol):
    """The stages as the fleet needs them: `engine.app.engine.Crew`."""

    def admit(self, camera: int, config: CameraConfig, site: Site) -> None:
        """Let every stage know one more camera; while every stage is idle."""

    def release(self, camera: int) -> None:
        """Let every stage forget a camera that is settled; while every stage is idle."""


class Check(Protocol):
    """What `qyran check` does for one camera."""

    def __call__(self, config: CameraConfig, site: Site, *, probe: bool) -> list[str]:
        """What is doubtful, one sentence each. Raises ConfigError, CalibrationError; SourceError where it is tried."""


class CameraManager:
    """One order at a time; each is on record before it is carried out, so that a crash between finishes it at the next
    start. Any thread may call; `order` blocks while the camera is tried, `remove`, `pause` and `update_site` until all
    that it sent is settled.

    Every order raises NoCamera, OutOfDate, LedgerError, or Stopped.
    """

    def __init__(
        self,
        camera_store: CameraStore,
        stage_set: Crew,
        runner: Runner,
        source: Callable[[int, CameraConfig], Source],
        check: Check,
        metrics: Metrics,
    ) -> None:
        self._store, self._stage_set, self._runner = camera_store, stage_set, runner
        self._source, self._check, self._metrics = source, check, metrics
        self._watched: dict[str, int] = {}
        self._next = 0
        self._ordering = threading.Lock()

    def begin(self, watched: Sequence[CameraConfig]) -> None:
        """Read the cameras that the stages were opened with, in their order."""
        for camera in watched:
            self._read(self._next, camera)
            self._next += 1
        self._count()

    @property
    def watched(self) -> Sequence[str]:
        """The names of the cameras that are watched now."""
        return list(self._watched)

    def all(self) -> Sequence[CameraRecord]:
        """Every camera that is not removed."""
        return self._store.all()

    def get(self, name: str) -> CameraRecord:
        """One of them. Raises NoCamera."""
        return self._store.get(name)

    def history(self, name: str) -> Sequence[CameraChange]:
        """What was ordered about a camera, ascending."""
        return self._store.history(name)

    def order(
        self, settings: CameraConfig, site: str, still: bytes | None, by: str, *, probe: bool
    ) -> tuple[CameraRecord, list[str]]:
        """Watch one more camera; gives it with what is doubtful about it.

        settings  as in the configuration file, `site` empty, the address with ${NAME}s for its secrets
        site      text of a site file; `still` is the picture that it names, if it does
        probe     try the camera first
        Raises what `Check` does, and RecordConflict where there is one of its name.
        """
        with self._ordered():
            draft = self._store.draft(settings, site, still, by)
            warnings = self._check(draft.config, draft.site, probe=probe)
            record = self._store.commit(draft)
            self._join(record)
        return record, warnings

    def update_site(
        self, name: str, expected: int, by: str, site: str, still: bytes | None
    ) -> tuple[CameraRecord, list[str]]:
        """Watch a camera with another site from now on; what it saw before is judged by the old one."""
        with self._ordered():
            draft = self._store.change(name, expected, by, "update_site", site=site, still=still)
            warnings = self._check(draft.config, draft.site, probe=False)
            record = self._store.commit(draft)
            if record.version.state == "watched":
                self._leave(name)
                self._join(record)
        return record, warnings

    def pause(self, name: str, expected: int, by: str) -> CameraRecord:
        """Watch a camera no more, for the time being."""
        with self._ordered():
            record = self._store.commit(self._store.change(name, expected, by, "pause", state="paused"))
            self._leave(name)
        return record

    def resume(self, name: str, expected: int, by: str) -> CameraRecord:
        """Watch a paused camera again. Raises what `Check` does: law and configuration may have changed meanwhile."""
        with self._ordered():
            draft = self._store.change(name, expected, by, "resume", state="watched")
            self._check(draft.config, draft.site, probe=False)
            record = self._store.commit(draft)
            if name not in self._watched:
                self._join(record)
        return record

    def remove(self, name: str, expected: int, by: str) -> CameraVersion:
        """Watch a camera no more; its cases stay."""
        with self._ordered():
            version = self._store.remove(name, expected, by)
            self._leave(name)
        return version

    @contextmanager
    def _ordered(self) -> Iterator[None]:
        """One order at a time; after each it is counted what ought to be watched and is not."""
        with self._ordering:
            try:
                yield
            finally:
                self._count()

    def _count(self) -> None:
        with suppress(LedgerError):
            self._metrics.cameras_left_out.set(len(self._store.due() - self._watched.keys()))

    def _join(self, record: CameraRecord) -> None:
        camera, self._next = self._next, self._next + 1

        def admit() -> Sequence[Entry]:
            self._stage_set.admit(camera, record.config, record.site)
            return ()

        self._runner.between(admit).result()
        self._read(camera, record.config)
        log.info("camera joined", camera=record.name, version=record.version.version, by=record.version.changed_by)

    def _read(self, camera: int, config: CameraConfig) -> None:
        self._metrics.add_camera(config.name)
        self._runner.join(camera, config.name, self._source(camera, config))
        self._watched[config.name] = camera

    def _leave(self, name: str) -> None:
        """Watch a camera no more; nothing where it is not watched."""
        camera = self._watched.pop(name, None)
        if camera is None:
            return

        def release() -> Sequence[Entry]:
            self._stage_set.release(camera)
            return ()

        self._runner.leave(camera)
        self._runner.between(release).result()
        self._metrics.remove_camera(name)
        log.info("camera left", camera=name)
