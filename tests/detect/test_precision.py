"""Networks in other precisions: the results stay the same within the precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from engine.detect.cards import ModelCard, find_card
from engine.detect.onnx import read_model
from engine.detect.precision import convert_network
from engine.errors import ConfigError, ModelError
from tests.support.networks import make_card

RANDOM = np.random.default_rng(3)
PICTURES = [{"images": RANDOM.uniform(0, 1, (1, 3, 16, 16)).astype(np.float32)} for _ in range(6)]


@pytest.fixture
def convolutions(tmp_path: Path) -> ModelCard:
    """Card of two convolutions and a Reshape to scores of 256 cells, exported for one picture, opset 13."""
    first = RANDOM.normal(0, 0.3, (8, 3, 3, 3)).astype(np.float32)
    second = RANDOM.normal(0, 0.3, (4, 8, 1, 1)).astype(np.float32)
    constants = {"first": first, "second": second, "shape": np.array([1, 4, 256])}
    nodes = [
        helper.make_node("Conv", ["images", "first"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "second"], ["c"]),
        helper.make_node("Reshape", ["c", "shape"], ["scores"]),
    ]
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, 16, 16))]
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, (1, 4, 256))]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "convolutions", inputs, outputs, initializers)
    path = tmp_path / "convolutions.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return find_card(str(make_card(path, "detr", input={"width_px": 16, "height_px": 16})))


def run(content: bytes, pictures: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")  # the 8-bit kernels of some processors saturate
    network = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return np.asarray(network.run(None, {"images": pictures})[0])


def test_half_precision_gives_the_same_for_any_batch_size(convolutions: ModelCard) -> None:
    exact = read_model(convolutions)
    half = convert_network(convolutions, exact, "fp16")
    assert {tensor.data_type for tensor in onnx.load_from_string(half).graph.initializer} >= {TensorProto.FLOAT16}
    batch = np.concatenate([picture["images"] for picture in PICTURES])
    expected = np.concatenate([run(exact, picture["images"]) for picture in PICTURES])
    np.testing.assert_allclose(run(half, batch), expected, atol=0.01)
    assert run(half, batch).dtype == np.float32


def test_int8_is_calibrated_and_the_rest_is_single_precision(convolutions: ModelCard) -> None:
    exact = read_model(convolutions)
    quantised = convert_network(convolutions, exact, "int8", PICTURES)
    model = onnx.load_from_string(quantised)
    assert {node.op_type for node in model.graph.node} >= {"QuantizeLinear", "DequantizeLinear", "Conv"}
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    assert kinds >= {TensorProto.INT8, TensorProto.FLOAT}
    assert TensorProto.FLOAT16 not in kinds
    off = run(quantised, PICTURES[0]["images"]) - run(exact, PICTURES[0]["images"])
    assert 0 < np.abs(off).max() < 0.1


def test_a_quantized_network_needs_no_calibration(convolutions: ModelCard) -> None:
    quantised = convert_network(convolutions, read_model(convolutions), "int8", PICTURES)
    again = convert_network(convolutions, quantised, "int8")
    np.testing.assert_allclose(run(again, PICTURES[0]["images"]), run(quantised, PICTURES[0]["images"]), atol=1e-3)


def test_int8_without_calibration_is_refused(convolutions: ModelCard) -> None:
    with pytest.raises(ConfigError, match="int8 needs pictures for the calibration"):
        convert_network(convolutions, read_model(convolutions), "int8")


def test_the_shipped_network_keeps_its_results_in_half_precision() -> None:
    card = find_card("ssd_mobilenet_v3_large")
    half = convert_network(card, read_model(card), "fp16")
    assert len(half) < 0.6 * len(read_model(card))


def test_the_error_names_a_file_that_is_not_a_network(convolutions: ModelCard) -> None:
    for broken in (b"junk", b"", read_model(convolutions)[:200]):
        with pytest.raises(ModelError, match=r"small: .*convolutions\.onnx is not a valid ONNX network"):
            convert_network(convolutions, broken, "fp16")
