"""The stages in a row. `step` is the sentence; `overlapped` says it with three sentences under way at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

import numpy as np
import structlog

from engine.errors import CaseConflict, DeviceLost, LedgerError
from engine.metrics import Metrics
from engine.pipeline.prefetch import prefetch
from engine.pipeline.storage_health import StorageHealth
from engine.stages import (
    Decoder,
    Detector,
    DriftMonitor,
    EvidenceBuilder,
    Identifier,
    Ledger,
    Rulebook,
    Signals,
    Speedometer,
    Tracker,
)
from engine.types import (
    TRACK_BITS,
    Case,
    Detections,
    Entry,
    Findings,
    FrameBatch,
    Ints,
    Ints32,
    Motion,
    Segment,
    Tracks,
)

log = structlog.get_logger()

Given = TypeVar("Given")
Made = TypeVar("Made")

UNRECORDED_MOST = 5_000
"""Cases that wait in memory for the register; more wait on the disk alone, where `engine.app.housekeeping` finds them."""
LEFT_ALONE = 9.0
"""A register that failed is left alone for so many times as long as it took: a server out of reach takes long to say
so, and no more than a tenth of the pipeline's time is spent waiting for it."""
SILENT_S = 10.0
"""A camera that has sent nothing for this long has its tracks ended, so that what they prove is not kept waiting."""


@dataclass(frozen=True, slots=True)
class Stages:
    """One of each, as `engine.app.engine` or a test puts them together."""

    decoder: Decoder
    guard: DriftMonitor
    signals: Signals
    detector: Detector
    tracker: Tracker
    speedometer: Speedometer
    rulebook: Rulebook
    identifier: Identifier
    evidence_builder: EvidenceBuilder
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """A batch, and which cameras had moved when it was filmed."""

    batch: FrameBatch
    moved: frozenset[int]


class Pipeline:
    """Turns batches of segments into entries of the register. Starts no thread; called from one, but for `overlapped`.

    `watch` is called with the tracks and motion of every batch: for drawing, tables and tests.
    """

    def __init__(
        self,
        stages: Stages,
        cameras: Mapping[int, str],
        metrics: Metrics,
        *,
        watch: Callable[[Motion], None] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._stages = stages
        self._cameras = cameras
        self._metrics = metrics
        self._watch = watch
        self._clock = clock
        self._heard_s: dict[int, float] = {}
        self._unrecorded: list[Case] = []
        self._again_s = float("-inf")
        self._storage = StorageHealth(metrics, clock)
        self._decode = self._timed("decode", stages.decoder.decode)
        self._detect = self._timed("detect", stages.detector.detect)
        self._track = self._timed("track", stages.tracker.track)
        self._measure = self._timed("measure", stages.speedometer.measure)
        self._judge = self._timed("judge", stages.rulebook.judge)
        self._identify = self._timed("investigate", stages.identifier.identify)
        self._prove = self._timed("prove", stages.evidence_builder.prove)
        self._append = self._timed("append", stages.ledger.append)

    def _timed(self, stage: str, verb: Callable[[Given], Made]) -> Callable[[Given], Made]:
        """The verb of a stage, its wall time observed."""
        spent = self._metrics.stage_s.labels(stage)

        def timed(given: Given) -> Made:
            with spent.time():
                return verb(given)

        return timed

    # -- the sentence

    def step(self, segments: Sequence[Segment]) -> Sequence[Entry]:
        """Everything that one batch brings about, from packets to the register."""
        return self.settle(self.see(self.decode(segments)))

    def decode(self, segments: Sequence[Segment]) -> DecodedBatch:
        """From packets to pixels; now and then a look whether the cameras stand still."""
        moved = self._stages.guard.check(segments)
        batch = self._decode(segments)
        self._count_frames(batch)
        return DecodedBatch(batch, moved)

    def see(self, decoded: DecodedBatch) -> Findings:
        """From pixels to findings."""
        self._forget_the_silent(decoded.batch)
        self._stages.speedometer.suspend(decoded.moved)
        self._stages.speedometer.pause(self._storage.lasts)
        self._stages.signals.observe(decoded.batch, decoded.moved)
        detections = self._detect(decoded.batch)
        tracks = self._track(detections)
        motion = self._measure(tracks)
        findings = self._judge(motion)
        self._count(detections, tracks, findings)
        if self._watch:
            self._watch(motion)
        return findings

    def settle(self, findings: Findings) -> Sequence[Entry]:
        """From findings to entries of the register; what the register cannot take now is tried again next time."""
        self._unrecorded += self._prove(self._identify(findings))
        return self._record()

    # -- many batches

    def plain(self, batches: Iterable[Sequence[Segment]]) -> Iterator[Sequence[Entry]]:
        """One batch after the other to the finish: the oracle of `overlapped`."""
        yield from self.to_the_end(self.flow(batches, overlap=False))

    def overlapped(self, batches: Iterable[Sequence[Segment]]) -> Iterator[Sequence[Entry]]:
        """The same entries in the same order; batch n + 1 is decoded and n - 1 proved while n is seen."""
        yield from self.to_the_end(self.flow(batches, overlap=True))

    def flow(self, batches: Iterable[Sequence[Segment]], *, overlap: bool) -> Iterator[Sequence[Entry]]:
        """What every batch appended. At the end every stage is idle and remembers: it may go on with more batches.

        Overlapped, every stage still belongs to one thread: decoding, seeing and settling each have their own. How the
        pixels of a GPU get safely from one to the next: `engine.decode.dali`, Note [Frame lifetime across streams].
        """
        if not overlap:
            yield from map(self.step, batches)
            return
        with (
            closing(prefetch(map(self.decode, batches), depth=1, name="decode")) as decoded,
            closing(prefetch(map(self.see, decoded), depth=1, name="see")) as findings,
        ):
            yield from map(self.settle, findings)

    def to_the_end(self, steps: Iterator[Sequence[Entry]]) -> Iterator[Sequence[Entry]]:
        """The steps, then what still waits. Where the GPU is lost on the way, what was seen until then is settled all
        the same, which takes none; then DeviceLost is raised."""
        try:
            yield from steps
        except DeviceLost as error:
            log.critical("the GPU is lost: what was seen is settled, then this process ends", error=str(error))
            yield self.finish()
            raise
        yield self.finish()

    def play(self, recording: Iterable[Segment]) -> Iterator[Sequence[Entry]]:
        """A finished recording from its first segment to its last, as fast as it goes."""
        for segment in recording:
            self._stages.evidence_builder.keep(segment)
            yield self.step([segment])
        yield self.finish()

    def leave(self, camera: int) -> Sequence[Entry]:
        """End the tracks of a camera that sends no more, and settle what that completes; while every stage is idle."""
        self._heard_s.pop(camera, None)
        self._stages.tracker.forget(camera)
        entries = [*self.settle(self.see(self.decode(())))]
        self._unrecorded += self._stages.evidence_builder.release(camera)
        return [*entries, *self._record()]

    def finish(self) -> Sequence[Entry]:
        """End every track, judge what that completes, prove what still waits, and record it."""
        for camera in self._cameras:
            self._stages.tracker.forget(camera)
        entries = [*self.settle(self.see(self.decode(())))]
        self._unrecorded += self._stages.evidence_builder.close()
        self._again_s = float("-inf")
        return [*entries, *self._record()]

    # -- what goes on beside the sentence

    def _record(self) -> Sequence[Entry]:
        """Append what waits; what the register cannot take now goes on waiting, what contradicts it is put aside."""
        entries = self._append_what_waits() if self._clock() >= self._again_s else []
        del self._unrecorded[UNRECORDED_MOST:]
        self._count_entries(entries)
        evidence_builder, unrecorded = self._stages.evidence_builder, len(self._unrecorded)
        self._storage.note(evidence_builder.refused or unrecorded > 0, evidence_builder.waiting + unrecorded)
        return entries

    def _append_what_waits(self) -> Sequence[Entry]:
        began_s = self._clock()
        try:
            entries = self._append(self._unrecorded)
            self._unrecorded = []
        except CaseConflict:
            return list(self._append_singly())
        except LedgerError as error:
            self._leave_alone(error, self._clock() - began_s)
            return []
        return entries

    def _append_singly(self) -> Iterator[Entry]:
        while self._unrecorded:
            began_s = self._clock()
            try:
                yield from self._append(self._unrecorded[:1])
            except CaseConflict as error:
                self._metrics.conflicts.labels(self._unrecorded[0].camera).inc()
                log.critical("the register holds this case with another content", error=str(error))
            except LedgerError as error:
                self._leave_alone(error, self._clock() - began_s)
                return
            del self._unrecorded[0]

    def _leave_alone(self, error: LedgerError, took_s: float) -> None:
        log.error("ledger unavailable, cases wait", cases=len(self._unrecorded), error=str(error))
        self._again_s = self._clock() + LEFT_ALONE * took_s

    def _forget_the_silent(self, batch: FrameBatch) -> None:
        now_s = self._clock()
        for camera in np.unique(batch.frames.camera):
            self._heard_s[int(camera)] = now_s
        for camera, heard_s in list(self._heard_s.items()):
            if now_s - heard_s > SILENT_S:
                self._stages.tracker.forget(camera)
                del self._heard_s[camera]

    def _count_frames(self, batch: FrameBatch) -> None:
        for camera, name in self._present(batch.frames.camera):
            self._metrics.frames.labels(name).inc(int((batch.frames.camera == camera).sum()))

    def _count(self, detections: Detections, tracks: Tracks, findings: Findings) -> None:
        of_camera = detections.frames.camera[detections.frame]
        for camera, name in self._present(of_camera):
            self._metrics.detections.labels(name).inc(int((of_camera == camera).sum()))
        ended = tracks.ended >> TRACK_BITS
        for camera, name in self._present(ended):
            self._metrics.tracks.labels(name).inc(int((ended == camera).sum()))
        for violation in findings.violations:
            name = self._cameras[violation.camera]
            self._metrics.violations.labels(name, violation.kind, violation.outcome).inc()

    def _present(self, cameras: Ints | Ints32) -> Iterator[tuple[int, str]]:
        for camera in np.unique(cameras):
            yield int(camera), self._cameras[int(camera)]

    def _count_entries(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            case = entry.case
            self._metrics.cases.labels(case.camera, case.kind).inc()
            self._metrics.latency_s.labels(case.camera).observe(max(0.0, entry.recorded_s - case.occurred_s))
            self._metrics.ledger_sequence.set(entry.sequence)
            log.info("case", sequence=entry.sequence, kind=case.kind, camera=case.camera, case=case.id)
