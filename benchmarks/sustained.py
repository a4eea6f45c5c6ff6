"""How many cameras the whole engine keeps up with, and how long a case takes: from segments in memory, in real time.

    python -m benchmarks sustained --cameras 1,2,4 --json > benchmarks/results/sustained.json
    python -m benchmarks sustained --device 0 --cameras 50,100,200,400 --json         on a GPU

Every camera is the demo's avenue (1280x720, 15 frames a second, H.264, segments of 2 s) played in a loop, each from
another place on, as if it were being filmed now. Decoder, detector, tracker, measurement, rules, evidence and register
are those of `qyran run`; only the network is left out. A step counts as sustained when no segment was dropped and no
more wait at its end than one a camera. The delay of a case counts from the instant of the offence: it waits for the end
of its segment, and for the seconds after the offence that belong to its clip.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.machine import describe_machine
from engine import logs
from engine.build import open_stages
from engine.config import CameraConfig, DecoderConfig, DetectorConfig, EngineConfig, PipelineConfig
from engine.demo.city import FOOTAGE, city_config
from engine.ingest import FileSource
from engine.mailbox import Mailbox
from engine.metrics import Metrics
from engine.pipeline import Pipeline
from engine.register import SqlRegister
from engine.runner import Runner
from engine.site import load_site
from engine.types import Entry, Segment

CLIP = "avenue"
WARM_S = 10.0
"""Before a step is measured: schedules, memory and clocks settle."""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="sustained", description=__doc__)
    parser.add_argument("--cameras", default="1,2,4", help="steps, comma-separated; the first that fails is the last")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of a step")
    parser.add_argument("--device", default="cpu", help="index of a GPU, or cpu for no GPU at all")
    parser.add_argument("--batch", type=int, default=0, help="segments in a batch; default: 4, on a GPU 32")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    logs.configure(level="error")
    gpu = None if options.device == "cpu" else int(options.device)
    steps = [int(count) for count in options.cameras.split(",")]
    result = measure(steps, options.seconds, gpu, options.batch or (4 if gpu is None else 32))
    print(json.dumps(result, indent=2) if options.json else table(result))
    return 0


def measure(steps: Sequence[int], seconds: float, gpu: int | None, batch: int) -> dict[str, Any]:
    rows = []
    for cameras in steps:
        rows.append(step(cameras, seconds, gpu, batch))
        if not rows[-1]["sustained"]:
            break
    return {
        "machine": describe_machine(),
        "device": "none" if gpu is None else _card(gpu),
        "parameters": {"seconds": seconds, "batch_segments": batch, "clip": CLIP, "detect_fps": 8.0},
        "sustained_cameras": max((row["cameras"] for row in rows if row["sustained"]), default=0),
        "rows": rows,
    }


class LoopedCamera:
    """A clip's segments again and again, each when its last frame would have been filmed."""

    def __init__(self, camera: int, clip: Sequence[Segment], first: int, began_s: float) -> None:
        self._camera, self._clip, self._first, self._began_s = camera, clip, first, began_s
        self._closed = threading.Event()

    def read(self) -> Iterator[Segment]:
        """Endless until `close`."""
        at_s = self._began_s
        for sequence in itertools.count():
            place = (self._first + sequence) % len(self._clip)
            segment = self._clip[place]
            captured_s = segment.captured_s - segment.began_s + at_s
            at_s = float(captured_s.max()) + (segment.ended_s - segment.began_s) / (len(segment.pts) - 1)
            if self._closed.wait(max(0.0, at_s - time.time())):
                return
            yield replace(
                segment,
                camera=self._camera,
                sequence=sequence,
                captured_s=captured_s,
                continues=sequence > 0 and place > 0,
            )

    def close(self) -> None:
        self._closed.set()


def step(cameras: int, seconds: float, gpu: int | None, batch: int) -> dict[str, Any]:
    """One number of cameras for some seconds, after the warm-up."""
    with tempfile.TemporaryDirectory() as folder:
        config, metrics = _config(cameras, Path(folder), gpu, batch), Metrics()
        site = load_site(config.cameras[0].site)
        with (
            closing(SqlRegister(config.register_at)) as register,
            open_stages(config, [site] * cameras, register, metrics) as stages,
        ):
            sizes, names = config.pipeline, config.camera_names
            mailbox = Mailbox(sizes.mailbox_segments, sizes.mailbox_camera_segments, metrics, names.__getitem__)
            pipeline = Pipeline(stages, names, metrics)
            pipeline.step(())
            runner = Runner(pipeline, stages.prosecutor, mailbox, batch_segments=sizes.batch_segments)
            for index, camera in enumerate(looped(config.cameras)):
                runner.join(index, names[index], camera)
            return _watched(runner, mailbox, metrics, seconds, cameras, gpu)


def looped(cameras: Sequence[CameraConfig]) -> list[LoopedCamera]:
    """Cameras whose key frames are spread evenly over a segment's length."""
    source = FileSource(0, cameras[0], Metrics(), start_s=0.0, realtime=False)
    clip, now_s = list(source.read()), time.time()
    length_s = clip[0].ended_s - clip[0].began_s
    return [
        LoopedCamera(index, clip, index % len(clip), now_s + length_s * index / len(cameras))
        for index in range(len(cameras))
    ]


def _watched(
    runner: Runner, mailbox: Mailbox, metrics: Metrics, seconds: float, cameras: int, gpu: int | None
) -> dict[str, Any]:
    """Run until the time is over; what happened in it."""
    marks: list[tuple[float, float, float, float]] = []

    def mark() -> None:
        marks.append((time.perf_counter(), time.process_time(), _sum(metrics.frames), _sum(metrics.dropped)))

    def end() -> None:
        mark()
        waiting.append(len(mailbox))
        memory.append(_memory_bytes(gpu))
        runner.stop()

    waiting: list[int] = []
    memory: list[float] = []
    timers = [threading.Timer(WARM_S, mark), threading.Timer(WARM_S + seconds, end)]
    for timer in timers:
        timer.start()
    entries = [entry for some in runner.run() for entry in some]
    (began, end_) = marks
    clock_s, cpu_s, frames, dropped = (after - before for before, after in zip(began, end_, strict=True))
    return {
        "cameras": cameras,
        "sustained": dropped == 0 and waiting[0] <= cameras,
        "frames_per_s": round(frames / clock_s, 1),
        "dropped_segments": int(dropped),
        "waiting_segments": waiting[0],
        "cores": round(cpu_s / clock_s, 2),
        "gpu_memory_mb_per_camera": round(memory[0] / cameras / 2**20, 1) if gpu is not None else None,
        "cases": len(entries),
        "delay_s": delays(entries),
    }


def delays(entries: Sequence[Entry]) -> dict[str, float]:
    """From the instant of the offence to the register, seconds: percentiles."""
    if not entries:
        return {}
    waited_s = [entry.recorded_s - entry.case.occurred_s for entry in entries]
    return {f"p{share}": round(float(np.percentile(waited_s, share)), 2) for share in (50, 95, 99)}


def _config(cameras: int, state: Path, gpu: int | None, batch: int) -> EngineConfig:
    filmed = next(camera for camera in city_config("", state).cameras if camera.name == CLIP)
    avenue = msgspec.structs.replace(filmed, url=str(FOOTAGE / f"{CLIP}.mp4"), detect_fps=8.0)
    decoder = DecoderConfig(backend="cpu") if gpu is None else DecoderConfig(backend="dali", device=gpu)
    return EngineConfig(
        cameras=tuple(msgspec.structs.replace(avenue, name=f"{CLIP}-{index}") for index in range(cameras)),
        state=state,
        decoder=decoder,
        detector=DetectorConfig(runtime="onnx" if gpu is None else "auto"),
        pipeline=PipelineConfig(
            batch_segments=batch, decode_threads=os.cpu_count() or 2, mailbox_segments=max(64, 4 * cameras)
        ),
    )


def _sum(counter: Any) -> float:
    return float(sum(one.value for found in counter.collect() for one in found.samples if "_total" in one.name))


def _memory_bytes(gpu: int | None) -> float:
    if gpu is None:
        return 0.0
    import torch

    free, total = torch.cuda.mem_get_info(gpu)
    return float(total - free)


def _card(gpu: int) -> str:
    import torch

    return str(torch.cuda.get_device_name(gpu))


def table(result: dict[str, Any]) -> str:
    """A line a step."""
    return "\n".join(
        f"{row['cameras']} cameras: {'kept up' if row['sustained'] else 'too many'}, {row['frames_per_s']} frames/s, "
        f"{row['dropped_segments']} segments dropped, {row['cores']} cores, {row['cases']} cases, {row['delay_s']}"
        for row in result["rows"]
    )
