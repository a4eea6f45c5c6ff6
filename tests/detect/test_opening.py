"""Selection of the detector, and the errors if it cannot run."""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from rich.console import Console

from engine.config import DetectorConfig
from engine.detect import opening, precision
from engine.detect.cards import find_card
from engine.detect.onnx import OnnxDetector
from engine.detect.opening import make_plan, open_detector, plan_key
from engine.detect.plans import PlanFolder
from engine.detect.reference import load_reference_frames
from engine.errors import ConfigError, ModelError
from engine.metrics import Metrics
from engine.tools.plans import PlanRequest, build_plans, detector_config
from engine.types import FrameBatch

CARD = find_card("ssd_mobilenet_v3_large")


def running(metrics: Metrics) -> list[dict[str, str]]:
    return [sample.labels for metric in metrics.detector.collect() for sample in metric.samples if sample.value == 1]


# -- the choice


def test_the_cpu_is_not_a_fallback_without_a_driver() -> None:
    metrics = Metrics()
    with_cpu = open_detector(CARD, DetectorConfig(), metrics)
    assert isinstance(with_cpu, OnnxDetector)
    assert running(metrics) == [{"model": CARD.name, "runtime": with_cpu.model.runtime, "fallback": "no"}]


def test_a_driver_without_a_device_falls_back_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "has_driver", lambda: True)
    metrics = Metrics()
    assert isinstance(open_detector(CARD, DetectorConfig(), metrics), OnnxDetector)
    assert [labels["fallback"] for labels in running(metrics)] == ["yes"]


def test_the_search_for_the_driver_does_not_import_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(ctypes, "CDLL", asked.append)
    assert opening.has_driver()
    assert asked == ["libcuda.so.1"]


@pytest.mark.parametrize("runtime", ["torch", "tensorrt"])
def test_a_configured_runtime_is_not_replaced(runtime: str) -> None:
    with pytest.raises(ConfigError, match=r"there is no GPU 0, torch finds 0; torch .* is built without CUDA"):
        open_detector(CARD, DetectorConfig(runtime=runtime), Metrics())  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", ["torch", "onnx"])
def test_the_error_for_a_missing_library_names_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    with pytest.raises(ConfigError, match=rf"detector: {missing} is not installed: pip install 'qyran\[gpu\]'"):
        open_detector(CARD, DetectorConfig(runtime="tensorrt"), Metrics())


# -- plans


@cache
def frames() -> list[FrameBatch]:
    """Half of the demo's reference frames, decoded once."""
    return load_reference_frames(CARD, ())[::2]


@pytest.fixture
def decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "load_reference_frames", lambda card, footage: frames())


def quiet(phase: str, done: int, steps: int) -> None: ...


def damaged(content: bytes) -> bytes:
    """The network with its weights rounded to seven values each."""
    model = onnx.load_from_string(content)
    for tensor in model.graph.initializer:
        weights = onnx.numpy_helper.to_array(tensor)
        if weights.ndim == 4:
            step = np.abs(weights).max() / 3
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.round(weights / step) * step, tensor.name))
    return bytes(model.SerializeToString())


def test_a_plan_is_built_once_and_found_again(tmp_path: Path, decoded_once: None) -> None:
    order = PlanRequest(detector_config(None, "", "fp16", 4, tmp_path, ()), (89,), False)
    first, second = (Console(record=True, width=500) for _ in range(2))
    build_plans(order, first)
    (plan,) = tmp_path.glob("*.plan")
    made = plan.stat().st_mtime_ns
    build_plans(order, second)
    assert plan.stat().st_mtime_ns == made
    for console in (first, second):
        printed = console.export_text()
        assert f"{plan}: " in printed
        assert "98 HALF" in printed
        assert "not run yet" in printed
    found = PlanFolder(tmp_path).find(plan_key(CARD, order.detector, 89, "any"))
    assert found is not None
    assert found.record.converted["found"] == found.record.converted["reference"] >= 20


def test_a_precision_that_costs_accuracy_is_refused_and_not_stored(
    tmp_path: Path, decoded_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "convert_network", lambda card, content, *rest: damaged(content))
    config = DetectorConfig(plans=tmp_path, batch=4)
    with pytest.raises(ModelError, match=r"refused in fp16 by onnxruntime .* \d+ of \d+ boxes are lost"):
        make_plan(CARD, config, plan_key(CARD, config, 89, ""), 89, quiet)
    assert list(tmp_path.iterdir()) == []


def test_int8_requires_footage_of_the_operator(tmp_path: Path) -> None:
    config = DetectorConfig(plans=tmp_path, precision="int8")
    with pytest.raises(ConfigError, match="int8 is calibrated with footage of your own cameras"):
        make_plan(CARD, config, plan_key(CARD, config, 89, ""), 89, quiet)


def test_the_error_names_unreadable_footage(tmp_path: Path) -> None:
    config = DetectorConfig(plans=tmp_path, footage=(tmp_path / "none.mp4",))
    with pytest.raises(ConfigError, match=r"footage .*none\.mp4"):
        make_plan(CARD, config, plan_key(CARD, config, 89, ""), 89, quiet)


def test_the_command_line_overrides_the_configuration_and_is_checked(tmp_path: Path) -> None:
    config = detector_config(None, "", "int8", 8, tmp_path, ())
    assert (config.precision, config.batch, config.plans, config.card) == ("int8", 8, tmp_path, DetectorConfig().card)
    with pytest.raises(ConfigError, match=r"build-engine: .*int9"):
        detector_config(None, "", "int9", 0, None, ())
