"""The stages in a row: `step` runs one batch through them, `process` and `run` many, up to three at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from time import monotonic

import numpy as np
import structlog

from engine.errors import DeviceLost
from engine.ingest.recordings import Recordings
from engine.metrics import Metrics
from engine.pipeline.prefetch import prefetch
from engine.pipeline.recorder import Recorder
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
from engine.types import Entry, Findings, FrameBatch, Motion, Segment

log = structlog.get_logger()

SILENT_S = 10.0
"""The tracks of a camera end after this time without a frame, so their violations do not wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """One of each stage, in the order of the data, and the recordings, which several stages read."""

    recordings: Recordings
    drift_monitor: DriftMonitor
    decoder: Decoder
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
    """A batch, and the cameras that had moved when it was filmed."""

    batch: FrameBatch
    moved: frozenset[int]


class Pipeline:
    """Turns batches of segments into entries of the ledger. Called from one thread; starts its own to overlap batches.

    `watch` is called with the tracks and motion of every batch: for drawings, tables and tests.
    """

    def __init__(
        self,
        stages: Stages,
        cameras: Mapping[int, str],
        metrics: Metrics,
        *,
        watch: Callable[[Motion], None] = lambda motion: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`cameras` gives the name of every camera index, and may change between two batches."""
        self._stages, self._cameras, self._watch, self._clock = stages, cameras, watch, clock
        self._heard_s: dict[int, float] = {}
        self._recorder = Recorder(stages.ledger, stages.evidence_builder, metrics, clock)

    # -- one batch

    def step(self, segments: Sequence[Segment]) -> Sequence[Entry]:
        """Run one batch through all stages, from packets to the ledger."""
        return self.record(self.judge(self.decode(segments)))

    def decode(self, segments: Sequence[Segment]) -> DecodedBatch:
        """From packets to pixels, and to the cameras whose view has moved since their calibration."""
        moved = self._stages.drift_monitor.check(segments)
        return DecodedBatch(self._stages.decoder.decode(segments), moved)

    def judge(self, decoded: DecodedBatch) -> Findings:
        """From pixels to findings."""
        stages, batch, moved = self._stages, decoded.batch, decoded.moved
        self._end_silent_tracks(batch)
        stages.signals.observe(batch, moved)
        detections = stages.detector.detect(batch)
        tracks = stages.tracker.track(detections)
        motion = stages.speedometer.measure(tracks, moved=moved, can_record=self._recorder.can_record)
        findings = stages.rulebook.judge(motion)
        self._watch(motion)
        return findings

    def record(self, findings: Findings) -> Sequence[Entry]:
        """From findings to entries of the ledger. A case that the ledger refuses is tried again with the next batch."""
        identified = self._stages.identifier.identify(findings)
        return self._recorder.record(self._stages.evidence_builder.build(identified))

    def _end_silent_tracks(self, batch: FrameBatch) -> None:
        now_s = self._clock()
        for camera in np.unique(batch.frames.camera):
            self._heard_s[int(camera)] = now_s
        for camera, heard_s in list(self._heard_s.items()):
            if now_s - heard_s > SILENT_S:
                self._stages.tracker.end_tracks(camera)
                del self._heard_s[camera]

    # -- many batches

    def run(self, batches: Iterable[Sequence[Segment]], *, overlap: bool) -> Iterator[Sequence[Entry]]:
        """Process the batches and finish; yields what every batch appended, then what still waited."""
        yield from self.finish_after(self.process(batches, overlap=overlap))

    def process(self, batches: Iterable[Sequence[Segment]], *, overlap: bool) -> Iterator[Sequence[Entry]]:
        """Yield what every batch appended. At the end every stage is idle and may go on with more batches.

        With `overlap`, batch n + 1 is decoded and batch n - 1 recorded while batch n is judged; the entries and their
        order are the same. Every stage still belongs to one thread: `decode`, `judge` and `record` each have their
        own. Note [Frame lifetime across streams] in `engine.decode.dali` explains how GPU pixels pass between them.
        """
        if not overlap:
            yield from map(self.step, batches)
            return
        with (
            closing(prefetch(map(self.decode, batches), depth=1, name="decode")) as decoded,
            closing(prefetch(map(self.judge, decoded), depth=1, name="judge")) as findings,
        ):
            yield from map(self.record, findings)

    def finish_after(self, steps: Iterator[Sequence[Entry]]) -> Iterator[Sequence[Entry]]:
        """Yield the steps, then what still waits. If the GPU is lost, yields what was seen before, which needs no GPU,
        and then raises DeviceLost."""
        try:
            yield from steps
        except DeviceLost as error:
            log.critical("the GPU is lost: what was seen is recorded, then this process ends", error=str(error))
            yield self.finish()
            raise
        yield self.finish()

    def play(self, recording: Iterable[Segment]) -> Iterator[Sequence[Entry]]:
        """Process a finished recording segment by segment, as fast as possible."""
        for segment in recording:
            self._stages.recordings.keep(segment)
            yield self.step([segment])
        yield self.finish()

    def finish_camera(self, camera: int) -> Sequence[Entry]:
        """Judge and record all that a stopped camera sent. Call it while every stage is idle."""
        self._heard_s.pop(camera, None)
        self._stages.tracker.end_tracks(camera)
        entries = self.step(())
        return [*entries, *self._recorder.record(self._stages.evidence_builder.finish_camera(camera))]

    def finish(self) -> Sequence[Entry]:
        """End all tracks, judge them, and build and record all cases that still wait."""
        for camera in self._cameras:
            self._stages.tracker.end_tracks(camera)
        entries = self.step(())
        return [*entries, *self._recorder.record(self._stages.evidence_builder.close(), retry_now=True)]
