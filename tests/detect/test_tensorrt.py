"""Real plans, built for GPUs that this machine does not have, and networks that cannot be built."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from engine.detect import tensorrt
from engine.detect.cards import ModelCard, find_card, shipped_cards
from engine.detect.onnx import read_model
from engine.detect.precision import convert_network
from engine.errors import ConfigError, ModelError
from tests.detect.test_onnx import data_card
from tests.support.networks import make_card, make_network

MOST = 16


def quiet(phase: str, done: int, steps: int) -> None: ...


@pytest.fixture(scope="module", params=shipped_cards())
def card(request: pytest.FixtureRequest) -> ModelCard:
    return find_card(request.param)


@pytest.fixture(scope="module")
def half(card: ModelCard) -> bytes:
    return convert_network(card, read_model(card), "fp16")


@pytest.mark.parametrize("sm", [80, 86, 89, 120])
def test_each_shipped_model_builds_for_each_gpu(card: ModelCard, half: bytes, sm: int) -> None:
    built = tensorrt.build_plan(card, half, sm, MOST, quiet)
    assert len(built.content) > 1_000_000
    name, picture = card.input.name, [card.input.height_px, card.input.width_px, 3]
    assert built.facts["inputs"] == {name: {"shape": [-1, *picture], "type": "FLOAT"}}
    assert built.facts["profile"] == {name: [[1, *picture], [MOST, *picture], [MOST, *picture]]}
    assert all(value["shape"][0] == -1 and value["type"] == "FLOAT" for value in built.facts["outputs"].values())
    assert set(built.facts["layers"]) - {"QUANTIZED"} == {"HALF"}


def test_single_precision_is_kept_and_doubles_the_size_of_a_plan(card: ModelCard, half: bytes) -> None:
    whole = tensorrt.build_plan(card, convert_network(card, read_model(card), "fp32"), 89, MOST, quiet)
    assert set(whole.facts["layers"]) - {"QUANTIZED"} == {"FLOAT"}
    assert len(whole.content) > 1.4 * len(tensorrt.build_plan(card, half, 89, MOST, quiet).content)


@pytest.mark.data
@pytest.mark.parametrize("model", ["yolox", "picodet"])
def test_public_models_build(data: Path, model: str) -> None:
    card = data_card(data, model)
    built = tensorrt.build_plan(card, convert_network(card, read_model(card), "fp16"), 86, MOST, quiet)
    assert built.facts["profile"] == {card.input.name: [[1, 3, 416, 416], [MOST, 3, 416, 416], [MOST, 3, 416, 416]]}
    assert built.facts["layers"]["HALF"] > 100


def test_the_functions_that_run_a_plan_exist() -> None:
    """Opening a plan needs a GPU. This only checks that the functions in `plan_network` exist."""
    trt = tensorrt.load_library()
    engine = (
        "create_execution_context create_runtime_config device_memory_size_v2 get_tensor_dtype get_tensor_mode "
        "get_tensor_name get_tensor_profile_shape get_tensor_shape num_io_tensors"
    )
    context = "execute_async_v3 get_tensor_shape set_device_memory set_input_shape set_tensor_address"
    config = (
        "create_runtime_cache dynamic_shapes_kernel_specialization_strategy set_execution_context_allocation_strategy "
        "set_runtime_cache"
    )
    for kind, names in (
        (trt.ICudaEngine, engine),
        (trt.IExecutionContext, context),
        (trt.IRuntimeConfig, config),
        (trt.IRuntimeCache, "deserialize serialize"),
        (trt.Runtime, "deserialize_cuda_engine"),
    ):
        assert set(names.split()) <= set(dir(kind))
    assert trt.ExecutionContextAllocationStrategy.USER_MANAGED
    assert trt.DynamicShapesKernelSpecializationStrategy.EAGER is not None
    assert trt.TensorIOMode.INPUT != trt.TensorIOMode.OUTPUT


# -- small networks


BOXES = np.array([[[0.5, 0.5, 0.25, 0.5]]], np.float32)


@pytest.fixture
def quantised(tmp_path: Path) -> tuple[ModelCard, bytes]:
    """One convolution between Q/DQ pairs."""
    scale, zero = onnx.numpy_helper.from_array(np.float32(0.02), "s"), onnx.numpy_helper.from_array(np.int8(0), "z")
    weight = np.random.default_rng(0).integers(-9, 9, (4, 3, 1, 1)).astype(np.int8)
    nodes = [
        helper.make_node("QuantizeLinear", ["images", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["x"]),
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["v"]),
        helper.make_node("Conv", ["x", "v"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, ("n", 3, 64, 64))]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("n", 4, 64, 64))]
    graph = helper.make_graph(
        nodes, "quantised", inputs, outputs, [scale, zero, onnx.numpy_helper.from_array(weight, "w")]
    )
    path = tmp_path / "quantised.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9), path)
    card = find_card(str(make_card(path, "detr")))
    return card, read_model(card)


def test_q_dq_nodes_make_an_int8_plan(quantised: tuple[ModelCard, bytes]) -> None:
    card, content = quantised
    built = tensorrt.build_plan(card, convert_network(card, content, "int8"), 89, MOST, quiet)
    assert built.facts["layers"] == {"QUANTIZED": 1, "FLOAT": 1}


def test_progress_reaches_the_end_of_each_phase(quantised: tuple[ModelCard, bytes]) -> None:
    card, content = quantised
    progress: dict[str, tuple[int, int]] = {}
    tensorrt.build_plan(card, content, 89, MOST, lambda phase, done, steps: progress.update({phase: (done, steps)}))
    assert "Building engine" in progress
    assert all(done == steps for done, steps in progress.values())


def test_a_network_for_one_picture_builds_a_plan_for_one(tmp_path: Path) -> None:
    path = tmp_path / "single.onnx"
    make_network(path, {"dets": BOXES, "labels": np.zeros((1, 1, 8), np.float32)}, lit=frozenset({"labels"}))
    card = find_card(str(make_card(path, "detr")))
    built = tensorrt.build_plan(card, convert_network(card, read_model(card), "fp32"), 89, MOST, quiet)
    assert built.facts["profile"] == {"images": [[1, 3, 64, 64]] * 3}


# -- refusals


def test_the_error_names_the_node_that_cannot_be_built(tmp_path: Path) -> None:
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, 64, 64))]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 3, 64, 64))]
    node = helper.make_node("Conjure", ["images"], ["y"], name="spell", domain="wizards")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("wizards", 1)]
    graph = helper.make_graph([node], "strange", inputs, outputs)
    path = tmp_path / "strange.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    card = find_card(str(make_card(path, "detr")))
    with pytest.raises(ModelError, match=r"small: tensorrt_rtx .* cannot read the network: spell \(Conjure\): "):
        tensorrt.build_plan(card, read_model(card), 89, MOST, quiet)


def test_content_that_is_not_a_network_is_refused(quantised: tuple[ModelCard, bytes]) -> None:
    card, content = quantised
    for broken in (b"junk", content[: len(content) // 2]):
        with pytest.raises(ModelError, match=r"small: tensorrt_rtx .* cannot read the network: "):
            tensorrt.build_plan(card, broken, 89, MOST, quiet)


def test_an_input_other_than_in_the_card_is_refused(quantised: tuple[ModelCard, bytes]) -> None:
    card, content = quantised
    other = find_card(str(make_card(card.file, "detr", input={"width_px": 96})))
    with pytest.raises(
        ModelError, match=r"the input is 'images' \(-1, 3, 64, 64\), its card says 'images' \(3, 64, 96\)"
    ):
        tensorrt.build_plan(other, content, 89, MOST, quiet)


def test_an_unsupported_gpu_is_refused(quantised: tuple[ModelCard, bytes]) -> None:
    with pytest.raises(ConfigError, match=r"tensorrt_rtx .* does not support sm90: pip install"):
        tensorrt.build_plan(*quantised, 90, MOST, quiet)


def test_the_error_without_the_library_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(ConfigError, match="TensorRT is not installed: pip install tensorrt-rtx-cu13"):
        tensorrt.load_library()
