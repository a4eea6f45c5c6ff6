"""The detector on a real GPU: plans, CUDA graphs, and the same boxes as on the CPU. `pytest -m gpu`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from engine.config import DetectorConfig
from engine.detect.agreement import BOUNDS, measure_agreement
from engine.detect.cards import find_card
from engine.detect.device import DeviceDetector
from engine.detect.device_merge import DeviceMerge
from engine.detect.heads import make_reader
from engine.detect.heads.device import DeviceReader
from engine.detect.merge import merge_candidates
from engine.detect.onnx import OnnxDetector
from engine.detect.opening import find_gpu, make_plan, open_detector, plan_folder, plan_key
from engine.detect.plan_network import PlanNetwork
from engine.detect.plans import Plan
from engine.detect.reference import DEMO, load_reference_frames
from engine.metrics import Metrics
from engine.types import FrameBatch
from tests.detect.test_device import LEFT, MIDDLE, WHOLE, card_of, make_regions, outputs_of, same

pytestmark = pytest.mark.gpu

CARD = find_card("ssd_mobilenet_v3_large")
MOST = 16


@pytest.fixture(scope="module", autouse=True)
def device() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device")
    return find_gpu().device


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> DetectorConfig:
    return DetectorConfig(runtime="tensorrt", precision="fp16", batch=MOST, plans=tmp_path_factory.mktemp("plans"))


@pytest.fixture(scope="module")
def plan(config: DetectorConfig, device: torch.device) -> Plan:
    gpu = find_gpu()
    key = plan_key(CARD, config, gpu.sm, gpu.name)
    return make_plan(CARD, config, key, gpu.sm, lambda phase, done, steps: None)


@pytest.fixture(scope="module")
def networks(plan: Plan, config: DetectorConfig, device: torch.device) -> Iterator[dict[bool, PlanNetwork]]:
    """The plan with CUDA graphs and without."""
    jit = plan_folder(config).path(plan.record.key).with_suffix(".jit")
    made = {graphs: PlanNetwork(CARD, plan.content, "fp16", device, jit, graphs=graphs) for graphs in (True, False)}
    yield made
    for network in made.values():
        network.close()


def pictures(rows: int) -> FrameBatch:
    """Footage with vehicles."""
    batch = load_reference_frames(CARD, DEMO[:1])[0]
    pick = np.arange(rows) % len(batch.frame)
    frames = dataclasses.replace(
        make_regions(rows, WHOLE, width=320, height=320), pixels=np.ascontiguousarray(batch.pixels[pick])
    )
    frames.region_xyxy_px[:] = batch.region_xyxy_px[pick]
    frames.model_to_image[:] = batch.model_to_image[pick]
    return frames


# -- the plan


def test_a_plan_built_here_is_checked_once(plan: Plan, config: DetectorConfig) -> None:
    metrics = Metrics()
    with closing(open_detector(CARD, config, metrics)) as detector:
        assert detector.model.runtime.startswith("tensorrt")
        assert detector.model.runtime.endswith("fp16")
        assert torch.cuda.get_device_name() in detector.model.details.values()
    checked = plan_folder(config).find(plan.record.key)
    assert checked is not None
    assert checked.record.on_device is not None
    assert checked.record.on_device["reference"] >= 20


def test_the_plan_finds_what_onnx_runtime_finds(networks: dict[bool, PlanNetwork]) -> None:
    detector, frames = DeviceDetector(CARD, networks[True]), load_reference_frames(CARD, ())
    with closing(OnnxDetector(CARD, 0)) as reference:
        found = measure_agreement(reference, detector, CARD, frames, BOUNDS["fp16"])
    assert found.problems(BOUNDS["fp16"]) == []


def test_cuda_graphs_change_no_bit(networks: dict[bool, PlanNetwork]) -> None:
    for rows in (1, 3, MOST, 2 * MOST + 5):
        batch = pictures(rows)
        with_graphs, without = (DeviceDetector(CARD, networks[graphs]).detect(batch) for graphs in (True, False))
        np.testing.assert_array_equal(with_graphs.xyxy_px, without.xyxy_px)
        np.testing.assert_array_equal(with_graphs.score, without.score)


def test_the_result_of_a_frame_hardly_depends_on_the_batch_size(networks: dict[bool, PlanNetwork]) -> None:
    detector, batch = DeviceDetector(CARD, networks[True]), pictures(MOST)
    together = detector.detect(batch)
    alone = detector.detect(pictures(1))
    first = together.frame == 0
    np.testing.assert_allclose(together.score[first][: len(alone)], alone.score[: first.sum()], atol=0.02)


def test_running_allocates_nothing(networks: dict[bool, PlanNetwork]) -> None:
    network = networks[True]
    for size in network.sizes:
        network.run(size)
    torch.cuda.synchronize()
    before = torch.cuda.memory_stats()["allocation.all.allocated"]
    for size in network.sizes:
        network.run(size)
    assert torch.cuda.memory_stats()["allocation.all.allocated"] == before


def test_pixels_on_the_device_are_used_without_a_copy(networks: dict[bool, PlanNetwork], device: torch.device) -> None:
    detector, batch = DeviceDetector(CARD, networks[True]), pictures(5)
    there = dataclasses.replace(batch, pixels=torch.from_numpy(batch.pixels).to(device))
    same(detector.detect(there), detector.detect(batch), px=0)


# -- heads and merging


@pytest.mark.parametrize("head", ["ssd", "yolox", "picodet", "detr", "detr decoded"])
def test_a_head_gives_the_same_on_the_gpu(head: str, tmp_path: Path, device: torch.device) -> None:
    card, batch = card_of(head.split()[0], tmp_path), make_regions(8, WHOLE, LEFT, MIDDLE)
    outputs = outputs_of(head, len(batch.frame))
    host = merge_candidates(make_reader(card).read(outputs), batch, card)
    there = {name: torch.from_numpy(value).to(device) for name, value in outputs.items()}
    found = DeviceReader(card, device).read(there)
    same(DeviceMerge(card, device, pytest.fail).merge(found, batch), host)


# -- the fallback


def test_onnx_runtime_finds_the_same_on_the_gpu() -> None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("ONNX Runtime is built without CUDA: onnxruntime-gpu is not installed")
    frames = load_reference_frames(CARD, DEMO[:1])
    config = DetectorConfig(runtime="torch", batch=MOST)
    with closing(open_detector(CARD, config, Metrics())) as detector, closing(OnnxDetector(CARD, 0)) as reference:
        for batch in frames:
            same(detector.detect(batch), reference.detect(batch), px=0.5)
