"""Measure how many cameras at 25 frames a second the whole pipeline keeps up with, and how late it is under load.

    python -m benchmarks cameras --json

Every camera sends the demo's avenue in 1920x1080 H.264 from memory. First the pipeline runs as fast as it can:
`kept_up` is camera seconds per second, the number of cameras that it keeps up with. Then it runs in real time with
`--load` times that number of cameras. A segment enters the engine's mailbox when its last frame is captured; `late_s`
is the time from then until the pipeline has recorded the results of the segment. For the first frame of a segment, add
the length of the segment. The footage is too short for a case; `python -m benchmarks pipeline` measures that cost.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np

from benchmarks.decode import record_segment
from benchmarks.machine import describe_machine
from engine.app import logs
from engine.app.stage_set import open_stages
from engine.config import CameraConfig, EngineConfig, PipelineConfig
from engine.gpu.health import has_driver
from engine.ledger import SqlLedger
from engine.metrics import Metrics
from engine.pipeline.loop import Pipeline, Stages
from engine.pipeline.mailbox import Mailbox
from engine.rules import load_site
from engine.types import Segment

SITE = Path(__file__).parent.parent / "engine" / "tools" / "demo" / "sites" / "avenue.toml"
FPS = 25
DETECT_FPS = 8.0


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="cameras", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--codec", default="h264")
    parser.add_argument("--batch", type=int, default=32 if has_driver() else 2, help="segments in a batch")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each of the two parts")
    parser.add_argument("--load", type=float, default=0.9, help="share of the cameras that the pipeline keeps up with")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    logs.configure(level="error")
    print(json.dumps(measure(options), indent=2))
    return 0


def measure(options: argparse.Namespace) -> dict[str, object]:
    """The result of both parts."""
    segment = record_segment(options.codec)
    kept_up, runtime = _measure_throughput(segment, options.batch, options.seconds)
    cameras = max(1, int(kept_up * options.load))
    return {
        "machine": describe_machine(),
        "gpu": _gpu_name(),
        "detector": runtime,
        "parameters": {
            "codec": segment.codec, "size": f"{segment.width_px}x{segment.height_px}", "fps": FPS,
            "segment_s": _length_s(segment), "detect_fps": DETECT_FPS, "regions": 1, "batch": options.batch,
        },
        "kept_up": round(kept_up, 2),
        "in_real_time": _measure_lateness(segment, cameras, options.batch, options.seconds),
    }  # fmt: skip


def _gpu_name() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _length_s(segment: Segment) -> float:
    return len(segment.pts) / FPS


def _shift(segment: Segment, camera: int, number: int, began_s: float) -> Segment:
    """The segment as the one with sequence number `number` of a camera."""
    captured_s = segment.captured_s - segment.began_s + began_s + number * _length_s(segment)
    return dataclasses.replace(segment, camera=camera, sequence=number, captured_s=captured_s, continues=number > 0)


@contextmanager
def _open_pipeline(cameras: int, batch: int, metrics: Metrics) -> Iterator[tuple[Stages, Pipeline]]:
    """The stages and the pipeline of an engine with `cameras` cameras."""
    site = load_site(SITE)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ledger = stack.enter_context(closing(SqlLedger(folder / "ledger.db")))
        configs = tuple(
            CameraConfig(name=f"camera{index}", url="none", site=SITE, detect_fps=DETECT_FPS)
            for index in range(cameras)
        )
        sizes = PipelineConfig(batch_segments=batch, decode_threads=max(2, batch // 4))
        config = EngineConfig(cameras=configs, state=folder, pipeline=sizes)
        stages = stack.enter_context(open_stages(config, [site] * cameras, ledger, metrics))
        yield stages, Pipeline(stages, config.camera_names, metrics)


def _measure_throughput(segment: Segment, batch: int, seconds: float) -> tuple[float, str]:
    """Camera seconds per second, and the runtime of the detector. The first batch warms up and does not count."""
    metrics = Metrics()
    with _open_pipeline(batch, batch, metrics) as (stages, pipeline):
        ends: list[float] = []

        def batches() -> Iterator[list[Segment]]:
            began_s = time.time()
            for number in itertools.count():
                if len(ends) > 1 and ends[-1] - ends[0] > seconds:
                    return
                yield [_shift(segment, camera, number, began_s) for camera in range(batch)]

        for _ in pipeline.run(batches(), overlap=True):
            ends.append(time.monotonic())  # noqa: PERF401 `batches` reads the list at the same time
        done = (len(ends) - 2) * batch * _length_s(segment)  # the last item comes from the end of the stream
        return done / (ends[-2] - ends[0]), stages.detector.model.runtime


def _measure_lateness(segment: Segment, cameras: int, batch: int, seconds: float) -> dict[str, object]:
    """Seconds from the end of a segment to its results, with `cameras` cameras in real time."""
    metrics = Metrics()
    with _open_pipeline(cameras, batch, metrics) as (_, pipeline):
        mailbox = Mailbox(8 * cameras, 4, metrics, lambda camera: f"camera{camera}")
        taken: list[list[Segment]] = []
        late_s: list[float] = []
        reader = threading.Thread(target=_feed, args=(segment, cameras, seconds, mailbox))
        reader.start()
        for number, _ in enumerate(pipeline.run(_batches(mailbox, batch, taken), overlap=True)):
            if number < len(taken):
                late_s += [time.time() - one.ended_s for one in taken[number]]
        reader.join()
    percentiles = dict(zip(("p50", "p95", "p99"), np.percentile(late_s, (50, 95, 99)).round(3).tolist(), strict=True))
    dropped = sum(s.value for m in metrics.dropped.collect() for s in m.samples if s.name.endswith("_total"))
    return {"cameras": cameras, "segments": len(late_s), "dropped": int(dropped), "late_s": percentiles}


def _batches(mailbox: Mailbox, batch: int, taken: list[list[Segment]]) -> Iterator[list[Segment]]:
    while not (mailbox.closed and not len(mailbox)):
        if segments := mailbox.take(batch, timeout_s=0.2):
            taken.append(segments)
            yield segments


def _feed(segment: Segment, cameras: int, seconds: float, mailbox: Mailbox) -> None:
    """Put each segment when it is complete. The cameras start at even intervals within the length of a segment."""
    length_s, began_s = _length_s(segment), time.time()
    for number in range(max(1, int(seconds / length_s))):
        for camera in range(cameras):
            one = _shift(segment, camera, number, began_s + camera / cameras * length_s)
            time.sleep(max(0.0, one.ended_s - time.time()))
            mailbox.put(one)
    mailbox.close()
