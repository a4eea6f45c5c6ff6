"""Overlapping batches give the same boxes, with the decoder on a device and pixels that are never copied to the host.

See Note [Frame lifetime across streams] in `engine.decode.dali`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engine.config import DecoderConfig, EngineConfig
from engine.detect.cards import find_card
from engine.detect.onnx import read_model
from engine.metrics import Metrics
from engine.pipeline.loop import Pipeline
from engine.stages import Detector
from engine.tools.demo.city import FOOTAGE, city_config
from engine.types import Detections, FrameBatch, Segment

pytest.importorskip("nvidia.dali", reason="nvidia-dali-cuda130 is not installed: the DALI graph is not tested")
pytest.importorskip("torch", reason="torch is not installed: the DALI graph is not tested")

import torch

from engine.detect.device import DeviceDetector
from engine.detect.onnx_network import OnnxNetwork
from tests.support.dali import first_segment, of
from tests.support.pipelines import opened

BATCHES = 3


class RecordingDetector:
    """A detector that records its results."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.model = detector.model
        self.found: list[Detections] = []

    def detect(self, batch: FrameBatch) -> Detections:
        self.found.append(self._detector.detect(batch))
        return self.found[-1]

    def close(self) -> None:
        self._detector.close()


def city(state: Path) -> EngineConfig:
    """Two cameras with the avenue, decoded by DALI."""
    avenue = msgspec.structs.replace(city_config("", state).cameras[0], url="", detect_fps=4.0)
    cameras = tuple(msgspec.structs.replace(avenue, name=name) for name in ("vp9", "mjpeg"))
    return EngineConfig(cameras=cameras, state=state, decoder=DecoderConfig(backend="dali", device="cpu"))


def batches() -> Iterator[list[Segment]]:
    """Batches with both codecs, each a second after the last."""
    clips = [first_segment(FOOTAGE / "codecs" / name) for name in ("avenue-vp9.webm", "avenue-mjpeg.avi")]
    for second in range(BATCHES):
        yield [
            dataclasses.replace(of(clip, camera), captured_s=clip.captured_s + second, sequence=second)
            for camera, clip in enumerate(clips)
        ]


def run(state: Path, *, overlap: bool) -> list[Detections]:
    config, metrics = city(state), Metrics()
    with opened(config, metrics) as stages:
        recording = RecordingDetector(_on_torch())
        pipeline = Pipeline(dataclasses.replace(stages, detector=recording), config.camera_names, metrics)
        for _ in pipeline.run(batches(), overlap=overlap):
            pass
    assert metrics.registry.get_sample_value("qyran_decode_batch_segments_sum") == 2 * BATCHES
    return recording.found


def _on_torch() -> Detector:
    """The detector that works in the memory of the pixels."""
    card = find_card("ssd_mobilenet_v3_large")
    return DeviceDetector(card, OnnxNetwork(card, read_model(card), "fp32", torch.device("cpu"), 4))


def test_overlapped_batches_give_the_boxes_of_the_plain_loop_bit_for_bit(tmp_path: Path) -> None:
    plain = run(tmp_path / "plain", overlap=False)
    overlapped = run(tmp_path / "overlapped", overlap=True)
    assert len(plain) == len(overlapped) == BATCHES + 1
    assert sum(map(len, plain)) > 10 * BATCHES
    for one, other in zip(plain, overlapped, strict=True):
        np.testing.assert_array_equal(one.frames.captured_s, other.frames.captured_s)
        for name in ("frame", "xyxy_px", "score", "class_id"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_pixels_outlive_the_runs_that_follow(tmp_path: Path) -> None:
    """Rule 1: nothing overwrites decoded frames while a reader uses them."""
    config, metrics = city(tmp_path), Metrics()
    with opened(config, metrics) as stages:
        kept = [stages.decoder.decode(segments).pixels for segments in batches()]
        copies = [pixels.clone() for pixels in kept]
        for segments in batches():
            stages.decoder.decode([dataclasses.replace(s, captured_s=s.captured_s + BATCHES) for s in segments])
    assert len({pixels.data_ptr() for pixels in kept}) == BATCHES
    for pixels, copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(pixels.numpy(), copy.numpy())
