"""Running a plan, without CUDA streams and graphs, with a TensorRT that runs in host memory."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from engine.config import DetectorConfig
from engine.detect import opening, plan_network, tensorrt
from engine.detect.cards import find_card
from engine.detect.device import DeviceDetector
from engine.detect.onnx import OnnxDetector, read_model
from engine.detect.opening import Gpu, open_detector, plan_folder, plan_key
from engine.detect.plan_network import PlanNetwork
from engine.errors import ModelError
from engine.metrics import Metrics
from tests.detect.test_device import MIDDLE, RANDOM, WHOLE, make_regions, same
from tests.detect.test_opening import damaged, frames
from tests.support.tensorrt_double import tensorrt_double

CARD = find_card("ssd_mobilenet_v3_large")
CPU = torch.device("cpu")
MOST = 6


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = tensorrt_double(MOST)
    monkeypatch.setattr(plan_network, "load_library", lambda: module)
    return module


def opened(tmp_path: Path, plan: bytes | None = None) -> PlanNetwork:
    return PlanNetwork(CARD, plan or read_model(CARD), "fp32", CPU, tmp_path / "plan.jit")


def test_a_plan_finds_what_its_network_finds_at_every_size(double: ModuleType, tmp_path: Path) -> None:
    network, reference = opened(tmp_path), OnnxDetector(CARD, threads=1)
    assert network.sizes == [1, 2, 4, 6]
    detector = DeviceDetector(CARD, network)
    for count in (1, 3, 8):
        batch = make_regions(count, WHOLE, MIDDLE, width=320, height=320)
        batch.pixels[:] = RANDOM.uniform(-1, 1, batch.pixels.shape)
        same(detector.detect(batch), reference.detect(batch), px=0.1)


def test_every_size_writes_to_the_same_memory(double: ModuleType, tmp_path: Path) -> None:
    network = opened(tmp_path)
    network.pictures.copy_(torch.from_numpy(RANDOM.uniform(-1, 1, network.pictures.shape)))
    whole = {name: value.clone() for name, value in network.run(6).items()}
    for size in network.sizes:
        for name, value in network.run(size).items():
            assert value.shape[0] == size
            np.testing.assert_allclose(value, whole[name][:size], atol=1e-4)


def test_compiled_kernels_are_stored_for_the_next_start(double: ModuleType, tmp_path: Path) -> None:
    opened(tmp_path)
    assert sorted((tmp_path / "plan.jit").read_bytes().split()) == [b"1", b"2", b"4", b"6"]
    opened(tmp_path).close()
    assert sorted((tmp_path / "plan.jit").read_bytes().split()) == [b"1", b"2", b"4", b"6"]


def test_the_record_names_library_precision_and_device(double: ModuleType, tmp_path: Path) -> None:
    record = DeviceDetector(CARD, opened(tmp_path)).model
    assert record.runtime == "tensorrt_double 1.0 fp32"
    assert record.details == {"device": "cpu", "cuda_graphs": "no"}


def test_the_error_of_a_plan_that_does_not_open_has_the_reason(double: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="ssd_mobilenet_v3_large: the plan does not open: the plan is junk"):
        opened(tmp_path, b"junk")


def test_a_plan_that_does_not_run_is_an_error(double: ModuleType, tmp_path: Path) -> None:
    network = opened(tmp_path)
    double.engines[0].broken = True
    with pytest.raises(ModelError, match="the plan does not run: no reason reported"):
        network.run(1)


# -- from the configuration to a verified plan


@pytest.fixture
def config(double: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DetectorConfig:
    """TensorRT with a GPU of capability 8.9, in host memory."""
    monkeypatch.setattr(opening, "load_reference_frames", lambda card, footage: frames())
    monkeypatch.setattr(opening, "find_gpu", lambda index: Gpu(CPU, 89, "double"))
    monkeypatch.setattr(tensorrt, "load_library", lambda: double)
    monkeypatch.setattr(
        tensorrt, "build_plan", lambda card, network, *rest: tensorrt.BuiltPlan(network, {"layers": {}})
    )
    return DetectorConfig(runtime="tensorrt", precision="fp32", plans=tmp_path, batch=MOST)


def test_a_plan_is_built_and_checked_once_and_then_only_opened(
    config: DetectorConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_detector(CARD, config, Metrics()).close()
    kept = plan_folder(config).find(plan_key(CARD, config, 89, "double"))
    assert kept is not None
    assert kept.record.on_device is not None
    assert kept.record.on_device["found"] == kept.record.on_device["reference"] >= 20
    monkeypatch.setattr(opening, "load_reference_frames", lambda card, footage: pytest.fail("looked at again"))
    assert open_detector(CARD, config, Metrics()).model.runtime == "tensorrt_double 1.0 fp32"


def test_a_plan_with_other_results_on_its_gpu_is_refused_each_time(config: DetectorConfig) -> None:
    key = plan_key(CARD, config, 89, "double")
    plan_folder(config).keep(key, damaged(read_model(CARD)), {}, {})
    for _ in range(2):
        with pytest.raises(ModelError, match=r"refused in fp32 by tensorrt_double 1\.0 fp32: .* boxes are lost"):
            open_detector(CARD, config, Metrics())
