"""Compare the decoder on a device with bare decoding of the same segments, and with the CPU decoder.

    python -m benchmarks decode --json > benchmarks/results/decode.json             DALI's CPU backend
    python -m benchmarks decode --device 0 --json > benchmarks/results/decode-NAME.json          a GPU

The input is the demo's avenue in each codec of the device: 1920x1080, 25 frames a second, a key frame every 2 s.
One camera second per second means that the decoder keeps up with one camera.

whole    `DeviceDecoder`: remux, decode, cut, scale, normalise and hand over 8 frames a second
leanest  DALI decodes the same containers to one frame each and does nothing else: the limit of a decoder that uses DALI
cpu      `CpuDecoder`, one thread for each core of this process

All entries of a row take turns in one run, after one round that does not count; the best round of each counts. Read CPU
seconds on the CPU backend, because other processes disturb them least, and wall-clock seconds on a GPU.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from nvidia.dali import Pipeline, fn, types

from benchmarks.machine import describe_machine
from engine.app import logs
from engine.config import CameraConfig, DecoderConfig, PipelineConfig
from engine.decode.cpu import CpuDecoder
from engine.decode.opening import open_decoding
from engine.decode.settings import DecodeSettings, ModelInput
from engine.detect.cards import find_card
from engine.ingest import FileSource, remux
from engine.metrics import Metrics
from engine.tools.demo.city import FOOTAGE
from engine.types import Segment

SIZE_PX, FPS, SEGMENT_S = (1920, 1080), 25, 2
DETECT_FPS = 8.0
BIT_RATE = 4_000_000
ENCODERS = {
    "h264": ("libx264", {"preset": "veryfast", "bf": "0"}),
    "h264 with B-frames": ("libx264", {"preset": "veryfast", "bf": "3"}),
    "hevc": ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "mjpeg": ("mjpeg", {"qmin": "3", "qmax": "8"}),
}
ON_CPU = ("vp9", "mjpeg")
CONTAINERS = ("mp4", "matroska", "avi")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="decode", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cpu", help="index of a GPU, or cpu for DALI's CPU backend")
    parser.add_argument("--batches", default="", help="sizes of a batch in segments, comma-separated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    logs.configure(level="error")
    device = None if options.device == "cpu" else int(options.device)
    batches = [int(size) for size in (options.batches or ("1,4" if device is None else "1,2,4,8,16,32")).split(",")]
    result = measure(device, batches, options.rounds, options.threads)
    print(json.dumps(result, indent=2) if options.json else table(result))
    return 0


def measure(device: int | None, batches: Sequence[int], rounds: int, threads: int) -> dict[str, Any]:
    """The result for every codec and size of a batch. `device`: index of a GPU, None for DALI's CPU backend."""
    codecs = ON_CPU if device is None else tuple(ENCODERS)
    recordings = {codec: record_segment(codec) for codec in codecs}
    rows = [
        {"codec": codec, "batch": size} | measure_row(recordings[codec], size, device, rounds, threads)
        for codec in codecs
        for size in batches
    ]
    return {
        "machine": describe_machine(),
        "device": torch.cuda.get_device_name(device) if device is not None else "DALI's CPU backend",
        "parameters": {"size_px": SIZE_PX, "fps": FPS, "segment_s": SEGMENT_S, "detect_fps": DETECT_FPS,
                       "rounds": rounds, "threads": threads},
        "rows": rows,
        "containers": {codec: measure_containers(recordings[codec], device, rounds)
                       for codec in codecs if codec in ON_CPU},
    }  # fmt: skip


def record_segment(codec: str) -> Segment:
    """The first SEGMENT_S seconds of the avenue, encoded as a camera with this codec sends them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "camera.mkv"
        _film(codec, path)
        camera = CameraConfig(name="bench", url=str(path), site=path)
        return next(iter(FileSource(0, camera, Metrics(), start_s=1.78e9, realtime=False).read()))


def _film(codec: str, path: Path) -> None:
    encoder, options = ENCODERS[codec]
    with av.open(str(FOOTAGE / "avenue.mp4")) as film, av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=FPS, options={**options, "g": str(FPS * SEGMENT_S)})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = SIZE_PX
        stream.pix_fmt, stream.bit_rate = "yuvj420p" if codec == "mjpeg" else "yuv420p", BIT_RATE
        for number, frame in zip(range(FPS * SEGMENT_S), film.decode(video=0), strict=False):
            scaled = frame.reformat(*SIZE_PX, format=stream.pix_fmt)
            scaled.pts, scaled.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(scaled))
        container.mux(stream.encode(None))


def measure_row(segment: Segment, size: int, device: int | None, rounds: int, threads: int) -> dict[str, Any]:
    """Camera seconds per wall-clock second and per CPU second, and their share of bare decoding."""
    cameras = {index: DecodeSettings(f"camera-{index}", DETECT_FPS) for index in range(size)}
    batch = [replace(segment, camera=index) for index in range(size)]
    model, metrics = find_card("ssd_mobilenet_v3_large").input, Metrics()
    sizes = PipelineConfig(batch_segments=size, decode_threads=threads)
    config = DecoderConfig(backend="dali", device="cpu" if device is None else device)
    clock = itertools.count()
    with (
        open_decoding(config, sizes, cameras, model, metrics) as decoding,
        closing(_cpu_decoder(cameras, model)) as cpu,
    ):
        lean = BareDecoding(segment, size, device, threads)
        works: dict[str, Callable[[], Any]] = {
            "whole": lambda: decoding.decoder.decode(_shift(batch, next(clock))).pixels,
            "leanest": lean.run,
            "cpu": lambda: cpu.decode(_shift(batch, next(clock))).pixels,
        }
        spent = {name: _measure_best(work, device, rounds) for name, work in works.items()}
    seconds = size * SEGMENT_S
    return {
        "fell_back": _count_fallbacks(metrics),
        "camera_s_per_s": {name: round(seconds / clock_s, 2) for name, (clock_s, _) in spent.items()},
        "camera_s_per_cpu_s": {name: round(seconds / cpu_s, 2) for name, (_, cpu_s) in spent.items()},
        "of_leanest": round(spent["leanest"][0] / spent["whole"][0], 3),
        "of_leanest_cpu": round(spent["leanest"][1] / spent["whole"][1], 3),
    }


def _count_fallbacks(metrics: Metrics) -> float:
    """Number of segments that the CPU decoded instead of the device. The row is valid only if it is 0."""
    return sum(one.value for found in metrics.fallbacks.collect() for one in found.samples if "_total" in one.name)


def _cpu_decoder(cameras: Mapping[int, DecodeSettings], model: ModelInput) -> CpuDecoder:
    return CpuDecoder(cameras, model, Metrics(), os.cpu_count() or 1)


def _shift(batch: Sequence[Segment], number: int) -> list[Segment]:
    """The batch, captured `number` segments later, so that the schedule of a camera continues."""
    return [replace(segment, captured_s=segment.captured_s + number * SEGMENT_S) for segment in batch]


class BareDecoding:
    """DALI decodes the batch to one frame of each segment, from containers in memory."""

    def __init__(self, segment: Segment, size: int, device: int | None, threads: int) -> None:
        self._container = [np.frombuffer(remux.to_mp4([segment]), np.uint8)] * size
        self._frames = [np.array([len(segment.pts) - 1], np.int32)] * size
        self._pipe = build_pipeline(size, device, threads)

    def run(self) -> Any:
        """Decode the batch once. Returns the frames, as DALI's tensor list."""
        return self._pipe.run(container=self._container, frames=self._frames)


def build_pipeline(size: int, device: int | None, threads: int) -> Pipeline:
    """A DALI pipeline that only decodes: containers and frame numbers in, frames out."""
    pipe = Pipeline(batch_size=size, num_threads=threads, device_id=device, prefetch_queue_depth=1)
    with pipe:
        container = fn.external_source(name="container", dtype=types.UINT8, ndim=1)
        frames = fn.external_source(name="frames", dtype=types.INT32, ndim=1)
        backend = "cpu" if device is None else "mixed"
        pipe.set_outputs(fn.decoders.video(container, frames=frames, device=backend, affine=False))
    pipe.build()
    return pipe


def _measure_best(work: Callable[[], Any], device: int | None, rounds: int) -> tuple[float, float]:
    """Wall-clock and CPU seconds of the best round, after one round that does not count."""
    spent = [_measure_once(work, device) for _ in range(rounds + 1)][1:]
    return min(clock_s for clock_s, _ in spent), min(cpu_s for _, cpu_s in spent)


def _measure_once(work: Callable[[], Any], device: int | None) -> tuple[float, float]:
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    made = work()
    if device is not None:
        torch.cuda.synchronize(device)
    spent = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    del made
    return spent


def measure_containers(segment: Segment, device: int | None, rounds: int) -> dict[str, Any]:
    """CPU milliseconds to write a segment into each container, and for DALI to open it, index it and decode a frame."""
    found = {}
    pipe, first = build_pipeline(1, device, 1), [np.zeros(1, np.int32)]
    with av.open(io.BytesIO(remux.to_mp4([segment]))) as source:
        described = source.streams.video[0]
        for form in CONTAINERS:
            data = [np.frombuffer(write_container(segment, described, form), np.uint8)]
            _, write_s = _measure_best(partial(write_container, segment, described, form), None, 3 * rounds)
            _, open_s = _measure_best(partial(pipe.run, container=data, frames=first), device, 3 * rounds)
            found[form] = {"write_ms": round(1e3 * write_s, 2), "open_and_first_frame_ms": round(1e3 * open_s, 2)}
    return found


def write_container(segment: Segment, described: av.VideoStream, form: str) -> bytes:
    """Write the packets of a segment into a container of format `form`, with the stream parameters of `described`."""
    content = io.BytesIO()
    with av.open(content, "w", format=form) as container:
        stream = container.add_stream_from_template(described)
        for row, data in enumerate(remux.packets(segment)):
            packet = av.Packet(bytes(data))
            packet.pts, packet.dts = int(segment.pts[row]), int(segment.dts[row])
            packet.time_base, packet.is_keyframe, packet.stream = segment.time_base, bool(segment.key[row]), stream
            container.mux(packet)
    return content.getvalue()


def table(result: dict[str, Any]) -> str:
    """A Markdown table of the rows."""
    rows = "".join(
        f"| {row['codec']} | {row['batch']} | {row['camera_s_per_s']['whole']:g} | "
        f"{row['camera_s_per_s']['leanest']:g} | {100 * row['of_leanest']:.0f} % |\n"
        for row in result["rows"]
    )
    return f"| codec | batch | cameras | bare decoding | share of it |\n|---|---:|---:|---:|---:|\n{rows}"
