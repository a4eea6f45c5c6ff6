"""Builds a case on the disk from a violation as soon as its clip is complete."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from engine.config import EvidenceConfig
from engine.errors import EvidenceError
from engine.evidence.artifacts import EvidenceTools, make_artifacts, section_artifacts
from engine.evidence.folder import Folders
from engine.evidence.manifest import describe
from engine.evidence.record import CameraSite, Origin, case_id, write_document
from engine.evidence.report import write_reports
from engine.ingest.recordings import Recordings
from engine.metrics import Metrics
from engine.site import WatchedCamera
from engine.types import Case, Segment, Violation, document

log = structlog.get_logger()

SILENT_S = 10.0
"""A camera is silent after the clip's length, two of its longest segments and this time without a segment."""
PATIENCE = 3.0
"""A violation waits at most this many such silences: a clock that jumped back may never reach the clip's end."""
RETRY_S = 10.0
"""Pause after the disk refused a case."""
CLAIM_BYTES = 256 * 1024 * 1024
"""Limit for the segments that pending violations claim; beyond it a violation gets what the ring still has."""
WAITING_MOST = 10_000
"""Limit for violations that wait for a disk that refuses; more are lost and logged."""


@dataclass(frozen=True, slots=True, eq=False)
class _PendingCase:
    """A violation without a case yet."""

    violation: Violation
    camera: CameraSite
    since_s: float
    claimed: tuple[Segment, ...]
    """What the ring held of the clip when the violation came: it may drop that before the clip is complete."""


class FileEvidenceBuilder:
    """`stages.EvidenceBuilder` on a folder of files.

    `build` never raises if the disk refuses: it logs the error, the violation waits and is tried again after a pause.
    `clock` is in monotonic seconds; it times silence and pauses, never a document.
    """

    def __init__(
        self,
        config: EvidenceConfig,
        root: Path,
        cameras: Mapping[int, CameraSite],
        origin: Origin,
        tools: EvidenceTools,
        recordings: Recordings,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`cameras` by index, at the start. Completes or removes what a crash left half-done in `root`.

        Raises EvidenceError if `root` cannot be written.
        """
        self._config = config
        self._cameras = dict(cameras)
        self._first = frozenset(cameras)
        self._origin = origin
        self._tools = tools
        self._recordings = recordings
        self._metrics = metrics
        self._clock = clock
        self._pending: deque[_PendingCase] = deque()
        self._again_s = float("-inf")
        self._is_refused = False
        self._folders = Folders(root, origin.device_serial, origin.key)
        if origin.key is None:
            log.warning("no signing key is configured: the cases are not signed")

    def build(self, violations: Sequence[Violation]) -> Sequence[Case]:
        """Take violations in; return the cases that are complete now, of this and earlier calls, synced to the disk."""
        now_s = self._clock()
        for violation in violations:
            self._take(violation, now_s)
        if now_s < self._again_s:
            return []
        ready = [pending for pending in self._pending if self._is_ready(pending, now_s)]
        return list(self._build_all(ready))

    def add_camera(self, index: int, camera: WatchedCamera) -> None:
        """Accept the violations of one more camera."""
        self._cameras[index] = CameraSite(camera.name, camera.site)

    def finish_camera(self, index: int) -> Sequence[Case]:
        """Build the pending cases of a camera that sends no more. A case that the disk refuses keeps waiting."""
        return list(self._build_all([pending for pending in self._pending if pending.violation.camera == index]))

    def remove_camera(self, index: int) -> None:
        """Forget a camera, before its recording is dropped: its pending cases claim what they need of it.

        The cameras of the start stay known: a section may report a vehicle after its exit camera has left.
        """
        held = _sizes(self._pending)
        for number, pending in enumerate(self._pending):
            if pending.violation.camera == index and sum(held.values()) < CLAIM_BYTES:
                self._pending[number] = whole = replace(pending, claimed=tuple(self._segments(pending)))
                held |= _sizes([whole])
        if index not in self._first:
            del self._cameras[index]

    @property
    def is_refused(self) -> bool:
        """True if the disk refused the last case."""
        return self._is_refused

    @property
    def waiting(self) -> int:
        """Number of violations without a case yet."""
        return len(self._pending)

    def close(self) -> Sequence[Case]:
        """Build all pending cases from what there is. A case that the disk refuses now is lost and logged."""
        cases = list(self._build_all(list(self._pending)))
        for pending in self._pending:
            self._lose(pending.violation, pending.camera, "the engine stops and the disk still refuses")
        self._pending.clear()
        return cases

    def _take(self, violation: Violation, now_s: float) -> None:
        camera = self._cameras[violation.camera]
        if len(self._pending) >= WAITING_MOST:
            self._lose(violation, camera, "too many violations wait for the disk already")
            return
        claimed = tuple(self._recordings.between(violation.camera, *self._span_s(violation)))
        has_room = sum(_sizes(self._pending).values()) < CLAIM_BYTES
        self._pending.append(_PendingCase(violation, camera, now_s, claimed if has_room else ()))

    def _span_s(self, violation: Violation) -> tuple[float, float]:
        """Begin and end of the clip, capture time."""
        return violation.began_s - self._config.before_s, violation.ended_s + self._config.after_s

    def _is_ready(self, pending: _PendingCase, now_s: float) -> bool:
        camera, recordings = pending.violation.camera, self._recordings
        began_s, ended_s = self._span_s(pending.violation)
        silence_s = ended_s - began_s + 2 * recordings.longest_s(camera) + SILENT_S
        return (
            recordings.reached_s(camera) >= ended_s
            or now_s - max(recordings.heard_s(camera), pending.since_s) > silence_s
            or now_s - pending.since_s > PATIENCE * silence_s
        )

    def _build_all(self, ready: Sequence[_PendingCase]) -> Iterator[Case]:
        """The cases of the pending violations; stops at the first that the disk refuses, the others keep waiting.

        A programming error loses only that case and does not end the engine.
        """
        for pending in ready:
            try:
                case = self._build(pending)
            except EvidenceError as error:
                log.error("case cannot be written, it waits", waiting=len(self._pending), error=str(error))
                self._again_s = self._clock() + RETRY_S
                self._is_refused = True
                self._pending.remove(pending)
                self._pending.append(pending)
                return
            except Exception as error:
                log.exception("case cannot be built, the others continue")
                self._pending.remove(pending)
                self._lose(pending.violation, pending.camera, f"{type(error).__name__}: {error}")
                continue
            self._pending.remove(pending)
            self._is_refused = False
            yield case

    def _build(self, pending: _PendingCase) -> Case:
        violation, camera = pending.violation, pending.camera
        case = case_id(violation, camera.camera, self._origin.device_serial)
        if known := self._folders.find(case, violation.decisive_s):
            return known
        segments = self._segments(pending)
        artifacts = (
            section_artifacts(violation, violation.section.files)
            if violation.section
            else make_artifacts(violation, segments, camera, self._tools, self._config.jpeg_quality)
        )
        files = [describe(name, artifacts.files[name]) for name in sorted(artifacts.files)]
        record = write_document(case, violation, camera, self._origin, artifacts, files)
        stored = self._folders.store(record, {**artifacts.files, **write_reports(document.encode(record))})
        if artifacts.incomplete:
            self._metrics.incomplete.labels(camera.camera).inc()
        if self._origin.key is None:
            self._metrics.unsigned.labels(camera.camera).inc()
        return stored

    def _segments(self, pending: _PendingCase) -> Sequence[Segment]:
        """The claimed segments and those that the ring got since, in order of arrival."""
        recent = self._recordings.between(pending.violation.camera, *self._span_s(pending.violation))
        by_sequence = {segment.sequence: segment for segment in (*pending.claimed, *recent)}
        return [by_sequence[sequence] for sequence in sorted(by_sequence)]

    def _lose(self, violation: Violation, camera: CameraSite, why: str) -> None:
        self._metrics.lost.labels(camera.camera).inc()
        log.critical(
            "violation lost", camera=camera.camera, kind=violation.kind, occurred_s=violation.decisive_s, why=why
        )


def _sizes(several: Iterable[_PendingCase]) -> dict[int, int]:
    """Bytes of every claimed segment by its identity: a segment that several violations claim counts once."""
    return {id(segment): len(segment.payload) for pending in several for segment in pending.claimed}
