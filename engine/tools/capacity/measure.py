"""Measurement of the ceilings of this machine: each stage runs alone, as it runs in the engine.

A ceiling on the processor is the rate of all cores, computed from CPU time: other load on the machine does not change
it. A ceiling on a GPU is computed from elapsed time.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from itertools import count, islice
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple

import numpy as np

from engine.config import CameraConfig, DecoderConfig, DetectorConfig, PipelineConfig
from engine.decode.cpu import CpuDecoder
from engine.decode.opening import open_decoding
from engine.decode.settings import DecodeSettings
from engine.detect.cards import ModelCard, find_card
from engine.detect.network import batch_sizes
from engine.detect.onnx import OnnxDetector
from engine.detect.opening import open_detector
from engine.ingest import FileSource
from engine.metrics import Metrics
from engine.stages import Detector
from engine.tools.capacity.model import Capacity, Ceiling, Part
from engine.track import KalmanTracker
from engine.types import Clock, Detections, FrameBatch, Frames, Segment, VehicleClass

Report = Callable[[str], None]
"""Receives the name of each measurement as it starts."""

_FOOTAGE = Path(__file__).parent.parent / "demo" / "footage"
CLIPS = {
    "h264": _FOOTAGE / "avenue.mp4",
    "hevc": _FOOTAGE / "codecs" / "avenue-hevc.mp4",
    "vp9": _FOOTAGE / "codecs" / "avenue-vp9.webm",
    "mjpeg": _FOOTAGE / "codecs" / "avenue-mjpeg.avi",
}
_SEGMENTS = 3
"""Segments of each clip that are used."""
_FEW_FPS, _MANY_FPS = 4.0, 25.0
"""Decoding is measured with few and with many analysed frames; the difference is the cost of scaling them."""
_BOXES, _TRACKED_FRAMES = 12, 50
"""Vehicles in view and frames per call when tracking is measured."""


class CapacityRequest(NamedTuple):
    """What to measure: the stages of a configuration."""

    decoder: DecoderConfig
    pipeline: PipelineConfig
    detector: DetectorConfig
    codecs: tuple[str, ...]
    seconds: float
    """Approximate duration of one measurement."""


def measure(request: CapacityRequest, report: Report) -> Capacity:
    """Measure every ceiling of this machine. Raises ConfigError or ModelError."""
    card, metrics = find_card(request.detector.card), Metrics()
    report("detect")
    gpu = 0 if request.decoder.device == "cpu" else request.decoder.device
    with closing(open_detector(card, request.detector, metrics, gpu)) as detector:
        batches = _measure_detector(detector, card, request)
        runtime, part = detector.model.runtime, _part(isinstance(detector, OnnxDetector), "gpu")
    best = max(batches.values(), key=lambda rate: rate.elapsed)
    ceilings = [Ceiling("detect", part, best.on(part), "pictures/s")]
    for codec in request.codecs:
        report(f"decode {codec}")
        found = _measure_decoder(codec, card, request, metrics)
        ceilings += found if codec == request.codecs[0] else found[:1]
    report("track")
    ceilings.append(Ceiling("track", "cpu", _measure_tracker(request.seconds).on("cpu"), "frames/s"))
    sizes = {str(size): round(rate.elapsed, 2) for size, rate in batches.items()}
    return Capacity(datetime.now(UTC).isoformat(timespec="seconds"), runtime, sizes, tuple(ceilings))


def _part(on_cpu: bool, other: Part) -> Part:
    return "cpu" if on_cpu else other


class MeasuredRate(NamedTuple):
    """A measured rate per second."""

    elapsed: float
    """Per second of elapsed time."""
    cores: float
    """Per second in which all cores work on it."""

    def on(self, part: Part) -> float:
        """The rate that is a ceiling on the given part."""
        return self.cores if part == "cpu" else self.elapsed


def _measure_rate(work: Callable[[], object], units: int, seconds: float) -> MeasuredRate:
    """Call `work` for `seconds`; each call does `units` of work. The first call only warms up."""
    work()
    began_s, began_cpu_s, done = perf_counter(), process_time(), 0
    while not done or perf_counter() - began_s < seconds:
        work()
        done += units
    spent_s = max(process_time() - began_cpu_s, 1e-6)
    return MeasuredRate(done / (perf_counter() - began_s), len(os.sched_getaffinity(0)) * done / spent_s)


# -- detect


def _measure_detector(detector: Detector, card: ModelCard, request: CapacityRequest) -> dict[int, MeasuredRate]:
    """Pictures per second, by batch size."""
    sizes = batch_sizes(request.detector.batch)
    seconds = request.seconds / len(sizes)
    return {size: _measure_rate(partial(detector.detect, _noise(card, size)), size, seconds) for size in sizes}


def _noise(card: ModelCard, rows: int) -> FrameBatch:
    """Pictures of noise: the time of the network does not depend on the content."""
    side = card.input
    size = np.array([side.width_px, side.height_px], np.float32)
    values = np.random.default_rng(0).uniform(0, 255, (rows, side.height_px, side.width_px, 3))
    pixels = ((values - side.mean) / side.std).astype(side.dtype).transpose(0, 3, 1, 2)
    return FrameBatch(
        frames=_frames(0, np.arange(rows, dtype=np.float64)),
        pixels=np.ascontiguousarray(pixels) if side.layout == "nchw" else pixels,
        frame=np.arange(rows, dtype=np.int32),
        model_to_image=np.tile(np.array([1, 1, 0, 0], np.float32), (rows, 1)),
        region_xyxy_px=np.tile(np.concatenate([np.zeros(2, np.float32), size]), (rows, 1)),
    )


def _frames(camera: int, captured_s: np.ndarray) -> Frames:
    rows = len(captured_s)
    size = np.tile(np.array([1280, 720], np.int32), (rows, 1))
    return Frames(np.full(rows, camera, np.int32), captured_s, size, np.full(rows, Clock.DECLARED, np.uint8))


# -- decode


class _Clip(NamedTuple):
    segments: list[Segment]
    megapixels: float
    """Sum over all frames of the segments."""

    @classmethod
    def read(cls, path: Path, metrics: Metrics) -> _Clip:
        camera = CameraConfig(name="capacity", url=str(path), site=Path())
        source = FileSource(0, camera, metrics, start_s=0.0, realtime=False)
        segments = list(islice(source.read(), _SEGMENTS))
        return cls(segments, sum(len(one.pts) * one.width_px * one.height_px for one in segments) / 1e6)


def _measure_decoder(codec: str, card: ModelCard, request: CapacityRequest, metrics: Metrics) -> list[Ceiling]:
    """The ceilings of decoding and of scaling, from one pass with few and one with many analysed frames."""
    clip = _Clip.read(CLIPS[codec], metrics)
    (part, few_s, few), (_, many_s, many) = (
        _one_pass(clip, fps, card, request, metrics) for fps in (_FEW_FPS, _MANY_FPS)
    )
    scale_s = max((many_s - few_s) / max(1, many - few), 1e-7)
    decode_s = max(few_s - few * scale_s, few_s / 10)
    rate = clip.megapixels * request.pipeline.batch_segments / decode_s
    return [
        Ceiling(f"decode {codec}", part, rate, "megapixels/s"),
        Ceiling("scale", _part(part == "cpu", "gpu"), 1 / scale_s, "pictures/s"),
    ]


def _one_pass(
    clip: _Clip, fps: float, card: ModelCard, request: CapacityRequest, metrics: Metrics
) -> tuple[Part, float, int]:
    """Part of the machine, seconds and pictures of one pass over the clip, with as many cameras as a batch holds."""
    views = {camera: DecodeSettings("capacity", fps) for camera in range(request.pipeline.batch_segments)}
    batches, pictures = _batches(clip, len(views)), 0
    with open_decoding(request.decoder, request.pipeline, views, card.input, metrics) as decoding:

        def one() -> None:
            nonlocal pictures
            pictures = sum(len(decoding.decoder.decode(batch).frame) for batch in next(batches))

        part = _part(isinstance(decoding.decoder, CpuDecoder), "nvdec")
        return part, 1 / _measure_rate(one, 1, request.seconds / 2).on(part), pictures


def _batches(clip: _Clip, cameras: int) -> Iterator[list[list[Segment]]]:
    """The clip repeated without end, as if `cameras` cameras sent it at the same time; time goes on."""
    length_s = clip.segments[-1].ended_s - clip.segments[0].began_s + 1.0
    for played in count():
        yield [[_shift(segment, camera, played * length_s) for camera in range(cameras)] for segment in clip.segments]


def _shift(segment: Segment, camera: int, later_s: float) -> Segment:
    return dataclasses.replace(segment, camera=camera, captured_s=segment.captured_s + later_s)


# -- track


def _measure_tracker(seconds: float) -> MeasuredRate:
    """Frames per second of the tracker, with a lane of passing vehicles."""
    tracker, played = KalmanTracker(), count()
    return _measure_rate(lambda: tracker.track(_traffic(next(played))), _TRACKED_FRAMES, seconds)


def _traffic(played: int) -> Detections:
    frames, rows = _TRACKED_FRAMES, _TRACKED_FRAMES * _BOXES
    captured_s = (played * frames + np.arange(frames)) / 8.0
    frame = np.repeat(np.arange(frames, dtype=np.int32), _BOXES)
    left = (100.0 * np.tile(np.arange(_BOXES), frames) + 40.0 * captured_s[frame]) % 1200.0
    boxes = np.stack([left, np.full(rows, 300.0), left + 70.0, np.full(rows, 360.0)], axis=1).astype(np.float32)
    score, kind = np.full(rows, 0.9, np.float32), np.full(rows, VehicleClass.CAR, np.int32)
    return Detections(_frames(0, captured_s), frame, boxes, score, kind)
