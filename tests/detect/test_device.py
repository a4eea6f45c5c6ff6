"""Compares the device's detector with the host's, on torch's CPU: heads, merging, and networks with their own
memory."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from engine.config import WHOLE_PICTURE, Region
from engine.decode.cpu import CpuDecoder
from engine.decode.settings import DecodeSettings, ModelInput
from engine.detect import device_merge
from engine.detect.cards import ModelCard, find_card
from engine.detect.device import DeviceDetector
from engine.detect.device_merge import DeviceMerge, rows_of_frames
from engine.detect.heads import Candidates, make_reader
from engine.detect.heads.device import MAX_BOXES, NO_BOX, DeviceCandidates, DeviceReader
from engine.detect.merge import merge_candidates
from engine.detect.network import batch_sizes, split_batches
from engine.detect.onnx import OnnxDetector, read_model
from engine.detect.onnx_network import OnnxNetwork
from engine.errors import ConfigError, OutOfDeviceMemory
from engine.metrics import Metrics
from engine.types import Detections, FrameBatch
from tests.detect.test_onnx import data_card, decoded_card, still
from tests.support.frames import make_batch
from tests.support.networks import COCO

CPU = torch.device("cpu")
RANDOM = np.random.default_rng(4)


def make_regions(frames: int, *regions: tuple[int, int, int, int], width: int = 64, height: int = 32) -> FrameBatch:
    """Frames of 1280 x 640, each with these regions, scaled to the model's input."""
    pixels = RANDOM.uniform(0, 255, (frames * len(regions), 3, height, width)).astype(np.float32)
    return make_batch(frames, regions, (1280, 640), (width, height), pixels)


WHOLE, LEFT, MIDDLE = (0, 0, 1280, 640), (0, 0, 700, 640), (400, 160, 900, 480)


def same(first: Detections, second: Detections, px: float = 1e-2) -> None:
    assert first.frame.tolist() == second.frame.tolist()
    assert first.class_id.tolist() == second.class_id.tolist()
    np.testing.assert_allclose(first.xyxy_px, second.xyxy_px, atol=px)
    np.testing.assert_allclose(first.score, second.score, atol=1e-5)
    assert [c.dtype for c in (first.frame, first.xyxy_px, first.score, first.class_id)] == [
        c.dtype for c in (second.frame, second.xyxy_px, second.score, second.class_id)
    ]


# -- heads


def card_of(head: str, folder: Path) -> ModelCard:
    np.save(folder / "anchors.npy", RANDOM.uniform(0.1, 0.9, (50, 4)).astype(np.float32))
    return ModelCard(
        name="small", file=folder / "x.onnx", sha256="", licence="", source="", head=head, classes=dict(COCO),
        low_score_threshold=0.3, input=ModelInput(name="x", width_px=64, height_px=32),
        head_options={"anchors": "anchors.npy"} if head == "ssd" else {},
    )  # type: ignore[arg-type]  # fmt: skip


def outputs_of(head: str, rows: int) -> dict[str, np.ndarray]:
    """Random outputs, about a tenth of them above the threshold, with some nan and some empty boxes."""

    def scores(anchors: int, classes: int = 10) -> np.ndarray:
        values = RANDOM.uniform(0, 1, (rows, anchors, classes)) ** 12
        values[0, 0] = np.nan
        return values.astype(np.float32)

    def normal(*shape: int) -> np.ndarray:
        return RANDOM.normal(0, 1, (rows, *shape)).astype(np.float32)

    if head == "ssd":
        return {"boxes": normal(50, 4), "scores": scores(50)}
    if head == "yolox":
        return {"output": np.concatenate([normal(42, 4), np.ones((rows, 42, 1), np.float32), scores(42)], axis=2)}
    if head == "picodet":
        cells = {8: 32, 16: 8, 32: 2, 64: 1}
        edges = {f"d{s}": 3 * normal(n, 32) for s, n in cells.items()}
        return {f"s{s}": scores(n) for s, n in cells.items()} | edges
    if head == "detr":
        boxes = RANDOM.uniform(-0.1, 1, (rows, 30, 4)).astype(np.float32)
        return {"dets": boxes, "labels": 6 * normal(30, 10) - 6}
    labels = RANDOM.integers(0, 10, (rows, 30))
    corners = (RANDOM.uniform(0, 40, (rows, 30, 4)) + np.array([-10, -10, 10, 10])).astype(np.float32)
    return {"labels": labels, "boxes": corners, "scores": RANDOM.uniform(0, 1, (rows, 30)).astype(np.float32)}


def tensors(outputs: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in outputs.items()}


@pytest.mark.parametrize("head", ["ssd", "yolox", "picodet", "detr", "detr decoded"])
def test_a_head_gives_the_same_on_the_device(head: str, tmp_path: Path) -> None:
    card, batch = card_of(head.split()[0], tmp_path), make_regions(8, WHOLE, LEFT, MIDDLE)
    outputs = outputs_of(head, len(batch.frame))
    on_host = make_reader(card).read(outputs)
    found = DeviceReader(card, CPU).read(tensors(outputs))
    assert int((found.score > NO_BOX).sum()) == len(on_host.row) > 50
    host = merge_candidates(on_host, batch, card)
    assert 10 < len(host) < len(on_host.row), "some boxes are kept and some are suppressed"
    same(DeviceMerge(card, CPU, pytest.fail).merge(found, batch), host)


def test_half_precision_outputs_are_read_in_single_precision(tmp_path: Path) -> None:
    card = card_of("ssd", tmp_path)
    halves = {name: value.astype(np.float16) for name, value in outputs_of("ssd", 2).items()}
    found = DeviceReader(card, CPU).read(tensors(halves))
    singles = DeviceReader(card, CPU).read({name: value.float() for name, value in tensors(halves).items()})
    assert found.xyxy_model_px.dtype == torch.float32
    assert torch.equal(found.xyxy_model_px, singles.xyxy_model_px)


# -- merging


def candidates(rows: int, each: int) -> tuple[Candidates, DeviceCandidates]:
    """The same crowded boxes for host and device; whole numbers, so that equal scores and exact overlaps occur."""
    corner = RANDOM.integers(0, 40, (rows, each, 2))
    boxes = np.concatenate([corner, corner + RANDOM.integers(1, 20, (rows, each, 2))], axis=2).astype(np.float32)
    score = -np.sort(-RANDOM.integers(30, 60, (rows, each)) / np.float32(64), axis=1).astype(np.float32)
    kind = RANDOM.integers(0, 6, (rows, each))
    host = Candidates(
        np.repeat(np.arange(rows, dtype=np.int32), each), boxes.reshape(-1, 4), score.ravel(),
        kind.ravel().astype(np.int32),
    )  # fmt: skip
    device = DeviceCandidates(*map(torch.from_numpy, (boxes, score, kind, np.zeros(rows, np.int64))))
    return host, device


@pytest.mark.parametrize("regions", [(WHOLE,), (WHOLE, MIDDLE), (LEFT, WHOLE, MIDDLE)])
def test_crowded_boxes_are_merged_as_on_the_host(regions: tuple[Region, ...], tmp_path: Path) -> None:
    card, batch = card_of("detr", tmp_path), make_regions(20, *regions)
    host, device = candidates(len(batch.frame), 60)
    same(DeviceMerge(card, CPU, pytest.fail).merge(device, batch), merge_candidates(host, batch, card), px=0)


def test_frames_with_different_numbers_of_regions(tmp_path: Path) -> None:
    card, whole = card_of("detr", tmp_path), make_regions(3, WHOLE, MIDDLE)
    rows = np.array([0, 2, 3, 4])
    batch = FrameBatch(
        whole.frames, whole.pixels[rows], whole.frame[rows], whole.model_to_image[rows], whole.region_xyxy_px[rows]
    )
    assert rows_of_frames(batch).tolist() == [[0, -1], [1, 2], [3, -1]]
    host, device = candidates(4, 30)
    same(DeviceMerge(card, CPU, pytest.fail).merge(device, batch), merge_candidates(host, batch, card), px=0)


def test_the_host_finishes_a_chain_longer_than_the_rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card, batch = card_of("detr", tmp_path), make_regions(4, WHOLE, MIDDLE)
    host, device = candidates(len(batch.frame), 60)
    finished: list[int] = []
    suppress = device_merge.suppress
    monkeypatch.setattr(device_merge, "suppress", lambda *given: (finished.append(1), suppress(*given)))
    monkeypatch.setattr(device_merge, "_ROUNDS", 1)
    same(DeviceMerge(card, CPU, pytest.fail).merge(device, batch), merge_candidates(host, batch, card), px=0)
    assert finished == [1]


def test_overflowing_candidates_are_counted_and_the_best_are_kept(tmp_path: Path) -> None:
    card, batch = card_of("detr", tmp_path), make_regions(1, WHOLE)
    boxes = np.full((1, MAX_BOXES + 88, 4), 0.5, np.float32)
    logits = np.full((1, MAX_BOXES + 88, 10), -9, np.float32)
    logits[..., 2] = np.linspace(0, 5, MAX_BOXES + 88)
    left_out: list[int] = []
    found = DeviceReader(card, CPU).read({"b": torch.from_numpy(boxes), "l": torch.from_numpy(logits)})
    best = DeviceMerge(card, CPU, left_out.append).merge(found, batch)
    assert left_out == [88]
    assert best.score.tolist() == pytest.approx([1 / (1 + np.exp(-5.0))])


# -- batches


def test_a_batch_runs_on_the_smallest_size_that_holds_it() -> None:
    assert batch_sizes(48) == [1, 2, 4, 8, 16, 32, 48]
    assert batch_sizes(1) == [1]
    assert list(split_batches(5, batch_sizes(8))) == [(slice(0, 5), 8)]
    assert list(split_batches(19, batch_sizes(8))) == [(slice(0, 8), 8), (slice(8, 16), 8), (slice(16, 19), 4)]
    assert list(split_batches(0, batch_sizes(8))) == []


# -- whole


def bound(card: ModelCard, most: int = 8) -> DeviceDetector:
    return DeviceDetector(card, OnnxNetwork(card, read_model(card), "fp32", CPU, most), pytest.fail)


class Exported:
    """Pixels of a library that supports only DLPack."""

    def __init__(self, pixels: torch.Tensor) -> None:
        self._pixels = pixels

    def __dlpack__(self, **options: object) -> object:
        return self._pixels.__dlpack__(**options)

    def __dlpack_device__(self) -> object:
        return self._pixels.__dlpack_device__()


def test_the_shipped_detector_finds_the_same_on_the_device() -> None:
    card = msgspec.structs.replace(find_card("ssd_mobilenet_v3_large"), low_score_threshold=0.02)
    batch = make_regions(5, WHOLE, MIDDLE, width=320, height=320)
    batch.pixels[:] = RANDOM.uniform(-1, 1, (10, 3, 10, 10)).repeat(32, 2).repeat(32, 3)
    expected, device = OnnxDetector(card, threads=1).detect(batch), bound(card)
    assert len(expected) > 10
    same(device.detect(batch), expected, px=0.1)
    other_order = np.ascontiguousarray(batch.pixels.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for given in (torch.from_numpy(batch.pixels), other_order, Exported(torch.from_numpy(batch.pixels))):
        same(device.detect(dataclasses.replace(batch, pixels=given)), expected, px=0.1)
    assert device.model.runtime.endswith("cpu fp32")
    assert device.model.sha256 == card.sha256


def test_a_network_for_one_picture_runs_pictures_one_by_one(tmp_path: Path) -> None:
    found = bound(decoded_card(tmp_path)).detect(make_regions(3, (0, 0, 64, 64), width=64, height=64))
    assert found.frame.tolist() == [0, 1, 2]
    assert found.xyxy_px.tolist() == [[1, 2, 30, 40]] * 3


def test_an_empty_batch_gives_no_detection() -> None:
    detector = bound(find_card("ssd_mobilenet_v3_large"), most=1)
    assert len(detector.detect(make_regions(0, WHOLE, width=320, height=320))) == 0


def test_a_batch_too_large_for_the_device_is_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    card = msgspec.structs.replace(find_card("ssd_mobilenet_v3_large"), low_score_threshold=0.02)
    batch = make_regions(6, WHOLE, width=320, height=320)
    batch.pixels[:] = RANDOM.uniform(-1, 1, (6, 3, 10, 10)).repeat(32, 2).repeat(32, 3)
    expected, room, duplicates = bound(card).detect(batch), 2, device_merge._duplicates

    def small(boxes: device_merge.FrameBoxes, *rest: object) -> torch.Tensor:
        if len(boxes.score) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return duplicates(boxes, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(device_merge, "_duplicates", small)
    same(bound(card).detect(batch), expected, px=0)
    room = 0
    with pytest.raises(OutOfDeviceMemory, match="out of memory"):
        bound(card).detect(batch)


def test_errors_of_other_causes_are_not_translated() -> None:
    batch = make_regions(1, WHOLE, width=64, height=64)
    with pytest.raises(RuntimeError, match="size of tensor"):
        bound(find_card("ssd_mobilenet_v3_large"), most=1).detect(batch)


def test_the_error_for_onnx_runtime_without_cuda_names_what_to_install() -> None:
    card = find_card("ssd_mobilenet_v3_large")
    with pytest.raises(ConfigError, match="pip install onnxruntime-gpu"):
        OnnxNetwork(card, read_model(card), "fp32", torch.device("cuda", 0), 1)


@pytest.mark.data
@pytest.mark.parametrize("model", ["ssd", "yolox", "picodet"])
def test_public_detectors_find_the_same_on_the_device(data: Path, model: str) -> None:
    card = data_card(data, model)
    view = DecodeSettings("x", 8.0, (WHOLE_PICTURE, (0.2, 0.0, 0.8, 0.6)))
    with closing(CpuDecoder({0: view}, card.input, Metrics(), 1)) as decoder:
        batch = decoder.decode([still(data, "session2_center.jpg")])
    expected = OnnxDetector(card, threads=1).detect(batch)
    assert len(expected) >= 3
    same(bound(card).detect(batch), expected, px=0.1)
