"""Wraps the stages to time them and to count their results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

import numpy as np
import structlog
from prometheus_client import Histogram

from engine.metrics import Metrics
from engine.pipeline.loop import Stages
from engine.types import TRACK_BITS, Detections, Entry, Findings, FrameBatch, Ints, Ints32, Tracks

log = structlog.get_logger()

Stage = TypeVar("Stage")


def observe_stages(stages: Stages, names: Mapping[int, str], metrics: Metrics) -> Stages:
    """The same stages, their wall time observed and their results counted. `names` by camera index."""
    counts = _Counts(names, metrics)

    def observed(stage: Stage, verb: str, label: str, count: Callable[[Any], None] = lambda result: None) -> Stage:
        return cast(Stage, _Observed(stage, verb, metrics.stage_s.labels(label), count))

    return replace(
        stages,
        decoder=observed(stages.decoder, "decode", "decode", counts.frames),
        detector=observed(stages.detector, "detect", "detect", counts.detections),
        tracker=observed(stages.tracker, "track", "track", counts.tracks),
        speedometer=observed(stages.speedometer, "measure", "measure"),
        rulebook=observed(stages.rulebook, "judge", "judge", counts.findings),
        identifier=observed(stages.identifier, "identify", "identify"),
        evidence_builder=observed(stages.evidence_builder, "build", "build_evidence"),
        ledger=observed(stages.ledger, "append", "append", counts.entries),
    )


class _Observed:
    """A stage with one method timed and its results counted; everything else is the stage's own."""

    def __init__(self, stage: object, verb: str, spent: Histogram, count: Callable[[Any], None]) -> None:
        self._stage = stage
        work = getattr(stage, verb)

        def observed(*args: Any, **named: Any) -> Any:
            with spent.time():
                result = work(*args, **named)
            count(result)
            return result

        setattr(self, verb, observed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stage, name)


class _Counts:
    """Counts the results of the stages by camera."""

    def __init__(self, names: Mapping[int, str], metrics: Metrics) -> None:
        self._names, self._metrics = names, metrics

    def frames(self, batch: FrameBatch) -> None:
        for name, count in self._by_camera(batch.frames.camera):
            self._metrics.frames.labels(name).inc(count)

    def detections(self, detections: Detections) -> None:
        for name, count in self._by_camera(detections.frames.camera[detections.frame]):
            self._metrics.detections.labels(name).inc(count)

    def tracks(self, tracks: Tracks) -> None:
        for name, count in self._by_camera(tracks.ended >> TRACK_BITS):
            self._metrics.tracks.labels(name).inc(count)

    def findings(self, findings: Findings) -> None:
        for violation in findings.violations:
            name = self._names[violation.camera]
            self._metrics.violations.labels(name, violation.kind, violation.outcome).inc()

    def entries(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            case = entry.case
            self._metrics.cases.labels(case.camera, case.kind).inc()
            self._metrics.latency_s.labels(case.camera).observe(max(0.0, entry.recorded_s - case.occurred_s))
            self._metrics.ledger_sequence.set(entry.sequence)
            log.info("case", sequence=entry.sequence, kind=case.kind, camera=case.camera, case=case.id)

    def _by_camera(self, cameras: Ints | Ints32) -> Iterator[tuple[str, int]]:
        """The name of every camera among the indices, and how often it occurs."""
        for camera, count in zip(*np.unique(cameras, return_counts=True), strict=True):
            yield self._names[int(camera)], int(count)
