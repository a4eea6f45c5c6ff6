"""Measure the CPU cost of each stage per analysed frame, on the demo's avenue clip.

    python -m benchmarks pipeline --json

The stages run one after another in one process, and CPU time is that of the process. The same run also measures the
parts of libavcodec in `decode` and of ONNX Runtime in `detect`: it repeats only that part with the same input. The rest
is Qyran's own code.
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
from engine.decode.codec import decode_frames
from engine.decode.sampling import SamplingSchedule
from engine.detect.cards import ModelCard, find_card
from engine.ingest import FileSource
from engine.ledger import SqlLedger
from engine.metrics import Metrics
from engine.pipeline.loop import Stages
from engine.rules import load_site
from engine.tools.demo.city import file_camera
from engine.types import FrameBatch, Segment

Made = TypeVar("Made")
CLIP = "avenue"
START_S = datetime(2026, 6, 1, 6, 0, tzinfo=UTC).timestamp()


@dataclass(slots=True)
class Costs:
    """CPU seconds by stage or library."""

    spent_s: dict[str, float] = field(default_factory=dict)
    frames: int = 0
    cases: int = 0

    def charge(self, what: str, work: Callable[[], Made]) -> Made:
        """Call `work` and add its CPU seconds to `what`. Returns the result of `work`."""
        began_s = time.process_time()
        made = work()
        self.spent_s[what] = self.spent_s.get(what, 0.0) + time.process_time() - began_s
        return made

    def per_frame_ms(self, what: str) -> float:
        """CPU milliseconds of `what` per analysed frame."""
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
    """Play the clip `rounds` times as one recording, after one round in which the kernels compile."""
    costs = Costs()
    camera = msgspec.structs.replace(file_camera(CLIP), detect_fps=detect_fps)
    with tempfile.TemporaryDirectory() as state, closing(SqlLedger(Path(state) / "ledger.db")) as ledger:
        config, metrics = EngineConfig(cameras=(camera,), state=Path(state)), Metrics()
        with open_stages(config, [load_site(camera.site)], ledger, metrics) as stages:
            bench = StageCosts(stages, SamplingSchedule(detect_fps), BareNetwork(find_card(config.detector.card)))
            for played in range(rounds + 1):
                for segment in recording(camera, metrics, played):
                    bench.step(segment, costs if played else Costs())
    return report(costs, {"rounds": rounds, "detect_fps": detect_fps, "regions": len(camera.regions)})


def recording(camera: CameraConfig, metrics: Metrics, played: int) -> Iterable[Segment]:
    """The clip, captured `played` minutes after START_S."""
    return FileSource(0, camera, metrics, start_s=START_S + 60.0 * played, realtime=False).read()


class BareNetwork:
    """The network of a model card without the detector, on the same number of threads."""

    def __init__(self, card: ModelCard) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(card.file), options, providers=["CPUExecutionProvider"])
        self._card = card
        self._pool = ThreadPoolExecutor(os.cpu_count())

    def rows(self, batch: FrameBatch) -> list[NDArray[Any]]:
        """The picture of each region as a batch of one."""
        pixels = batch.pixels if self._card.input.layout == "nchw" else batch.pixels.transpose(0, 2, 3, 1)
        return [np.ascontiguousarray(row)[None] for row in pixels]

    def run(self, pictures: list[NDArray[Any]]) -> None:
        """Run the network once for each picture."""
        for _ in self._pool.map(lambda picture: self._session.run(None, {self._card.input.name: picture}), pictures):
            pass


@dataclass(slots=True)
class StageCosts:
    """The stages, and a schedule that selects the same frames as the decoder."""

    stages: Stages
    schedule: SamplingSchedule
    network: BareNetwork

    def step(self, segment: Segment, costs: Costs) -> None:
        """Run all stages on one segment and add their costs."""
        stages = self.stages
        stages.recordings.keep(segment)
        batch = costs.charge("decode", lambda: stages.decoder.decode([segment]))
        self._alone(segment, batch, costs)
        detections = costs.charge("detect", lambda: stages.detector.detect(batch))
        tracks = costs.charge("track", lambda: stages.tracker.track(detections))
        motion = costs.charge("measure", lambda: stages.speedometer.measure(tracks, moved=frozenset(), can_record=True))
        findings = costs.charge("judge", lambda: stages.rulebook.judge(motion))
        named = costs.charge("identify", lambda: stages.identifier.identify(findings))
        cases = costs.charge("build_evidence", lambda: stages.evidence_builder.build(named))
        costs.charge("append", lambda: stages.ledger.append(cases))
        costs.frames += len(batch.frames)
        costs.cases += len(cases)

    def _alone(self, segment: Segment, batch: FrameBatch, costs: Costs) -> None:
        """Run only libavcodec, then only the network, on the input of the stages."""
        wanted = self.schedule.choose(segment.captured_s)
        costs.charge("libavcodec", lambda: sum(1 for _ in decode_frames(segment, wanted)))
        inputs = self.network.rows(batch)
        costs.charge("onnxruntime", lambda: self.network.run(inputs))


def report(costs: Costs, parameters: dict[str, object]) -> dict[str, object]:
    """CPU milliseconds per analysed frame. The cost of a case is separate, because cases are rare on a real road."""
    stages = ("decode", "detect", "track", "measure", "judge", "identify", "build_evidence", "append")
    whole_s = sum(costs.spent_s[stage] for stage in stages)
    libraries_s = costs.spent_s["libavcodec"] + costs.spent_s["onnxruntime"]
    hot_s = whole_s - sum(costs.spent_s[stage] for stage in ("identify", "build_evidence", "append"))
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
    """The costs per frame as text."""
    return json.dumps(result["cpu_ms_per_frame"], indent=2)
