"""The prosecutor keeps the recent recordings, and makes of a violation a case on the disk when its clip is complete."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from engine.config import EvidenceConfig
from engine.errors import EvidenceError
from engine.evidence.artifacts import OVERVIEW, VEHICLE, Means, gather, given
from engine.evidence.folder import Folders
from engine.evidence.identity import case_id
from engine.evidence.manifest import describe
from engine.evidence.plate import PLATE
from engine.evidence.record import Artifacts, CameraSite, Origin, write_document
from engine.evidence.recording import Recording
from engine.evidence.report import reports
from engine.metrics import Metrics
from engine.types import Case, Segment, Violation, document

__all__ = ["CameraSite", "FileEvidenceBuilder", "Means", "Origin"]

log = structlog.get_logger()

SILENT_S = 10.0
"""A camera is silent when nothing came for the clip's length, two of its longest segments, and this."""
PATIENCE = 3.0
"""So many such silences a violation waits at the most: a clock that jumped back may never reach the clip's end."""
RETRY_S = 10.0
"""Pause after the disk refused a case."""
CLAIM_BYTES = 256 * 1024 * 1024
"""Recording that waiting violations may hold beyond the rings; later ones are made of what a ring still has."""
WAITING_MOST = 10_000
"""Violations that may wait for a disk that refuses; more are lost, loudly."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A violation whose case is not made yet."""

    violation: Violation
    since_s: float
    claimed: tuple[Segment, ...]
    """What the ring held of its clip when it came: the ring may have let it go by the time the clip is complete."""


class FileEvidenceBuilder:
    """`stages.Prosecutor` on a folder of files.

    `prove` never raises for a disk that refuses: it logs, the violation waits, and after a pause it is tried again.
    `clock` is monotonic seconds; it serves silence and pauses only, never a document.
    """

    def __init__(
        self,
        config: EvidenceConfig,
        root: Path,
        origin: Origin,
        means: Means,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Settles what a crash left half-done; raises EvidenceError where `root` cannot be written."""
        self._config = config
        self._origin = origin
        self._means = means
        self._metrics = metrics
        self._clock = clock
        self._recordings = {camera: Recording(config.keep_s, config.keep_bytes) for camera in origin.scenes}
        self._none = Recording(config.keep_s, config.keep_bytes)
        """Of a camera that has left: a drive whose exit it saw may be proved later."""
        self._waiting: deque[_Waiting] = deque()
        self._again_s = float("-inf")
        self._refused = False
        self._folders = Folders(root, origin.device_serial, origin.key)
        if origin.key is None:
            log.warning("no signing key is configured: the cases are not signed")

    def keep(self, segment: Segment) -> None:
        """Remember a segment. From any thread; costs microseconds."""
        self._recordings[segment.camera].add(segment, self._clock())

    def kept(self, camera: int, from_s: float, to_s: float) -> Sequence[Segment]:
        """The segments of a camera that are kept, with a frame between two capture times. From any thread."""
        return self._recording(camera).between(from_s, to_s)

    def reached_s(self, camera: int) -> float:
        """Capture time that a camera's recording has come to; minus infinity where there is none."""
        return self._recording(camera).reached_s

    def shoot(self, crossing: Violation) -> Mapping[str, bytes]:
        """Stills of a vehicle that may be proved guilty when its recording is gone: whole, cut out, and its plate."""
        scene = self._origin.scenes[crossing.camera]
        segments = self._recording(crossing.camera).between(crossing.began_s, crossing.ended_s)
        files = gather(crossing, segments, scene, self._means, self._config.jpeg_quality).files
        return {name: files[name] for name in (OVERVIEW, VEHICLE, PLATE) if name in files}

    def prove(self, violations: Sequence[Violation]) -> Sequence[Case]:
        """Take violations in; the cases that are complete now, of this and earlier calls, synced to the disk."""
        now_s = self._clock()
        for violation in violations:
            self._take(violation, now_s)
        if now_s < self._again_s:
            return []
        ready = [waiting for waiting in self._waiting if self._is_ready(waiting, now_s)]
        return list(self._make(ready))

    def admit(self, camera: int) -> None:
        """Take on one more camera, whose scene `origin` has got already; before its first segment."""
        self._recordings[camera] = Recording(self._config.keep_s, self._config.keep_bytes)

    def release(self, camera: int) -> Sequence[Case]:
        """Let go of a camera of which no segment will come any more; gives its cases that were waiting for one.

        What the disk refuses even now goes on waiting, and claims what it needs of the recording, which goes.
        """
        cases = list(self._make([waiting for waiting in self._waiting if waiting.violation.camera == camera]))
        self._claim_the_rest(camera)
        del self._recordings[camera]
        return cases

    @property
    def refused(self) -> bool:
        """Did the disk refuse the last case?"""
        return self._refused

    @property
    def waiting(self) -> int:
        """Violations whose cases are not made yet."""
        return len(self._waiting)

    def close(self) -> Sequence[Case]:
        """The cases still waiting, with what there is. One that the disk refuses even now is lost, and logged."""
        cases = list(self._make(list(self._waiting)))
        for waiting in self._waiting:
            self._lose(waiting.violation, "the engine stops and the disk still refuses")
        self._waiting.clear()
        return cases

    def _recording(self, camera: int) -> Recording:
        return self._recordings.get(camera, self._none)

    def _take(self, violation: Violation, now_s: float) -> None:
        if len(self._waiting) >= WAITING_MOST:
            self._lose(violation, "too many violations wait for the disk already")
            return
        claimed = tuple(self._recording(violation.camera).between(*self._span_s(violation)))
        room = sum(_sizes(self._waiting).values()) < CLAIM_BYTES
        self._waiting.append(_Waiting(violation, now_s, claimed if room else ()))

    def _claim_the_rest(self, camera: int) -> None:
        """Let what waits of a camera claim all that its ring has of the clip, as far as there is room."""
        held = _sizes(self._waiting)
        for number, waiting in enumerate(self._waiting):
            if waiting.violation.camera == camera and sum(held.values()) < CLAIM_BYTES:
                self._waiting[number] = whole = replace(waiting, claimed=tuple(self._segments(waiting)))
                held |= _sizes([whole])

    def _span_s(self, violation: Violation) -> tuple[float, float]:
        """From when to when the clip shall reach, capture time."""
        return violation.began_s - self._config.before_s, violation.ended_s + self._config.after_s

    def _is_ready(self, waiting: _Waiting, now_s: float) -> bool:
        recording = self._recording(waiting.violation.camera)
        began_s, ended_s = self._span_s(waiting.violation)
        silence_s = ended_s - began_s + 2 * recording.longest_s + SILENT_S
        return (
            recording.reached_s >= ended_s
            or now_s - max(recording.heard_s, waiting.since_s) > silence_s
            or now_s - waiting.since_s > PATIENCE * silence_s
        )

    def _make(self, ready: Sequence[_Waiting]) -> Iterator[Case]:
        """Cases of the waiting; at the first that the disk refuses, the rest goes on waiting.

        One of which no case can be made, by an error of ours, costs itself and not the engine.
        """
        for waiting in ready:
            try:
                case = self._prove(waiting)
            except EvidenceError as error:
                log.error("case cannot be written, it waits", waiting=len(self._waiting), error=str(error))
                self._again_s = self._clock() + RETRY_S
                self._refused = True
                self._waiting.remove(waiting)
                self._waiting.append(waiting)
                return
            except Exception as error:
                log.exception("case cannot be made, the others go on")
                self._waiting.remove(waiting)
                self._lose(waiting.violation, f"{type(error).__name__}: {error}")
                continue
            self._waiting.remove(waiting)
            self._refused = False
            yield case

    def _prove(self, waiting: _Waiting) -> Case:
        violation = waiting.violation
        scene = self._origin.scenes[violation.camera]
        case = case_id(violation, scene.camera, self._origin.device_serial)
        if known := self._folders.find(case, violation.decisive_s):
            return known
        segments = self._segments(waiting)
        artifacts = (
            given(violation, violation.section.files)
            if violation.section
            else gather(violation, segments, scene, self._means, self._config.jpeg_quality)
        )
        files = [describe(name, artifacts.files[name]) for name in sorted(artifacts.files)]
        record = write_document(case, violation, self._origin, artifacts, files)
        stored = self._folders.store(record, {**artifacts.files, **reports(document.encode(record))})
        self._count(scene.camera, artifacts)
        return stored

    def _count(self, camera: str, artifacts: Artifacts) -> None:
        if artifacts.incomplete:
            self._metrics.unproved.labels(camera).inc()
        if self._origin.key is None:
            self._metrics.unsigned.labels(camera).inc()

    def _segments(self, waiting: _Waiting) -> Sequence[Segment]:
        """What was claimed, and what the ring has got since, in the order they came."""
        recent = self._recording(waiting.violation.camera).between(*self._span_s(waiting.violation))
        by_sequence = {segment.sequence: segment for segment in (*waiting.claimed, *recent)}
        return [by_sequence[sequence] for sequence in sorted(by_sequence)]

    def _lose(self, violation: Violation, why: str) -> None:
        camera = self._origin.scenes[violation.camera].camera
        self._metrics.lost.labels(camera).inc()
        log.critical("violation lost", camera=camera, kind=violation.kind, occurred_s=violation.decisive_s, why=why)


def _sizes(several: Iterable[_Waiting]) -> dict[int, int]:
    """Bytes of every segment that is claimed, by its identity: what several violations claim is there once."""
    return {id(segment): len(segment.payload) for waiting in several for segment in waiting.claimed}
