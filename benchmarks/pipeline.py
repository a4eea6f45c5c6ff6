"""CPU cost of every stage, per frame that is looked at, on the demo's avenue clip.

    python -m benchmarks pipeline --json

The stages run one after the other in one process, so CPU time is the process's own. Inside `decode` the part that is
libavcodec's, and inside `detect` the part that is ONNX Runtime's, are measured in the same run by doing only that part
with the same input; the rest is Qyran's own.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.machine import describe_machine
from engine.app import logs
from engine.app.stage_set import open_stages
from engine.config import CameraConfig, EngineConfig
from engine.decode.codec import decoded
from engine.decode.sampling import Schedule
from engine.detect.cards import ModelCard, find_card
from engine.ingest import FileSource
from engine.ledger import SqlLedger
from engine.metrics import Metrics
from engine.pipeline.loop import Stages
from engine.site import load_site
from engine.tools.demo.city import recorded
from engine.types import FrameBatch, Segment

Made = TypeVar("Made")
CLIP = "avenue"
START_S = datetime(2026, 6, 1, 6, 0, tzinfo=UTC).timestamp()


@dataclass(slots=True)
class Costs:
    """CPU seconds by what they were spent on."""

    spent_s: dict[str, float] = field(default_factory=dict)
    frames: int = 0
    cases: int = 0

    def of(self, what: str, work: Callable[[], Made]) -> Made:
        began_s = time.process_time()
        made = work()
        self.spent_s[what] = self.spent_s.get(what, 0.0) + time.process_time() - began_s
        return made

    def per_frame_ms(self, what: str) -> float:
        return 1e3 * self.spent_s[what] / self.frames


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="pipeline", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--detect-fps", type=float, default=8.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    logs.configure(level="warning")
    result = measure(options.rounds, options.detect_fps)
    print(json.dumps(result, indent=2) if options.json else table(result))
    return 0


def measure(rounds: int, detect_fps: float) -> dict[str, object]:
    """Play the clip `rounds` times as one long recording, after one round in which kernels compile."""
    costs = Costs()
    camera = msgspec.structs.replace(recorded(CLIP), detect_fps=detect_fps)
    with tempfile.TemporaryDirectory() as state, closing(SqlLedger(Path(state) / "ledger.db")) as ledger:
        config, metrics = EngineConfig(cameras=(camera,), state=Path(state)), Metrics()
        with open_stages(config, [load_site(camera.site)], ledger, metrics) as stages:
            bench = Bench(stages, Schedule(detect_fps), Network(find_card(config.detector.card)))
            for played in range(rounds + 1):
                for segment in recording(camera, metrics, played):
                    bench.step(segment, costs if played else Costs())
    return report(costs, {"rounds": rounds, "detect_fps": detect_fps, "regions": len(camera.regions)})


def recording(camera: CameraConfig, metrics: Metrics, played: int) -> Iterable[Segment]:
    """The clip as if it were filmed a minute after it was filmed the last time."""
    return FileSource(0, camera, metrics, start_s=START_S + 60.0 * played, realtime=False).read()


class Network:
    """The bare network of a card, on as many threads as the detector: what the detector cannot do without."""

    def __init__(self, card: ModelCard) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(card.file), options, providers=["CPUExecutionProvider"])
        self._card = card
        self._pool = ThreadPoolExecutor(os.cpu_count())

    def rows(self, batch: FrameBatch) -> list[NDArray[Any]]:
        """Every region's picture as a batch of one."""
        pixels = batch.pixels if self._card.input.layout == "nchw" else batch.pixels.transpose(0, 2, 3, 1)
        return [np.ascontiguousarray(row)[None] for row in pixels]

    def run(self, pictures: list[NDArray[Any]]) -> None:
        for _ in self._pool.map(lambda picture: self._session.run(None, {self._card.input.name: picture}), pictures):
            pass


@dataclass(slots=True)
class Bench:
    """The stages, and a schedule that chooses the frames that the decoder chooses."""

    stages: Stages
    schedule: Schedule
    network: Network

    def step(self, segment: Segment, costs: Costs) -> None:
        stages = self.stages
        stages.evidence_builder.keep(segment)
        batch = costs.of("decode", lambda: stages.decoder.decode([segment]))
        self._alone(segment, batch, costs)
        detections = costs.of("detect", lambda: stages.detector.detect(batch))
        tracks = costs.of("track", lambda: stages.tracker.track(detections))
        motion = costs.of("measure", lambda: stages.speedometer.measure(tracks))
        violations = costs.of("judge", lambda: stages.rulebook.judge(motion))
        named = costs.of("investigate", lambda: stages.identifier.identify(violations))
        cases = costs.of("prove", lambda: stages.evidence_builder.prove(named))
        costs.of("append", lambda: stages.ledger.append(cases))
        costs.frames += len(batch.frames)
        costs.cases += len(cases)

    def _alone(self, segment: Segment, batch: FrameBatch, costs: Costs) -> None:
        """Only libavcodec, then only the network, on what the stages are given."""
        wanted = self.schedule.choose(segment.captured_s)
        costs.of("libavcodec", lambda: sum(1 for _ in decoded(segment, wanted)))
        inputs = self.network.rows(batch)
        costs.of("onnxruntime", lambda: self.network.run(inputs))


def report(costs: Costs, parameters: dict[str, object]) -> dict[str, object]:
    """Milliseconds of CPU per frame looked at; what a case costs is told by itself, since cases are rare elsewhere."""
    stages = ("decode", "detect", "track", "measure", "judge", "investigate", "prove", "append")
    whole_s = sum(costs.spent_s[stage] for stage in stages)
    libraries_s = costs.spent_s["libavcodec"] + costs.spent_s["onnxruntime"]
    hot_s = whole_s - sum(costs.spent_s[stage] for stage in ("investigate", "prove", "append"))
    return {
        "machine": describe_machine(),
        "parameters": parameters,
        "frames": costs.frames,
        "cases": costs.cases,
        "cpu_ms_per_frame": {what: round(costs.per_frame_ms(what), 3) for what in costs.spent_s},
        "cpu_ms_per_case": round(1e3 * (whole_s - hot_s) / max(1, costs.cases), 1),
        "share_outside_libraries": round(1 - libraries_s / hot_s, 4),
    }


def table(result: dict[str, object]) -> str:
    return json.dumps(result["cpu_ms_per_frame"], indent=2)
