"""Converts a network to the precision of a plan, in the ONNX graph itself.

TensorRT 11 and TensorRT for RTX are strongly typed: they compute in the types of the graph and choose no precision by
themselves. TensorRT 10 is configured to do the same. ONNX Runtime's converter makes half precision, its calibration
8 bits: symmetric, weights per channel, convolutions only, as TensorRT's kernels require. Depthwise convolutions and
those before the outputs keep single precision: with them in 8 bits the shipped network found three of nine vehicles,
without them eight. Everything else keeps single precision too, because small scales lose digits in half precision.
Needs the package `onnx`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import onnx
from onnx import ModelProto, NodeProto
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata
from onnxruntime.transformers.float16 import convert_float_to_float16

from engine.detect.cards import ModelCard
from engine.detect.dynamic_batch import with_dynamic_batch
from engine.detect.network import Inputs, Precision
from engine.errors import ConfigError, ModelError


def convert_network(card: ModelCard, content: bytes, precision: Precision, calibration: Iterable[Inputs] = ()) -> bytes:
    """The network `content` in `precision`, with a dynamic batch if the network allows it.

    calibration  typical inputs of the network by name, for int8; not used if the network has Q/DQ nodes already

    Raises ModelError if the file is not a network, ConfigError for int8 without calibration.
    """
    model = _make_dynamic(_parse(card, content))
    if precision == "int8" and not _is_quantized(model):
        model = _quantize(card, model, calibration)
    if precision == "fp16":
        model = convert_float_to_float16(model, keep_io_types=True)
    return bytes(model.SerializeToString())


def _parse(card: ModelCard, content: bytes) -> ModelProto:
    try:
        model = onnx.load_from_string(content)
        onnx.checker.check_model(model)
    except Exception as error:
        raise ModelError(f"{card.name}: {card.file} is not a valid ONNX network: {error}") from error
    return model


def _make_dynamic(model: ModelProto) -> ModelProto:
    """The network with a dynamic batch; unchanged if that is not possible, and then it runs one picture at a time."""
    if model.graph.input[0].type.tensor_type.shape.dim[0].dim_value != 1:
        return model
    try:
        return with_dynamic_batch(model)
    except (ModelError, onnx.shape_inference.InferenceError):
        return model


def _is_quantized(model: ModelProto) -> bool:
    return any(node.op_type == "QuantizeLinear" for node in model.graph.node)


def _quantize(card: ModelCard, model: ModelProto, calibration: Iterable[Inputs]) -> ModelProto:
    reader = _CalibrationReader(calibration)
    _name_nodes(model)
    model = onnx.shape_inference.infer_shapes(model)
    add_pre_process_metadata(model)  # silences the warning of quantize_static: shapes are already inferred
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "int8.onnx"
        try:
            quantize_static(
                model,
                target,
                reader,
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=["Conv"],
                nodes_to_exclude=sorted(_sensitive_convolutions(model)),
                extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
            )
        except ValueError as error:
            if not reader.given:
                raise ConfigError(f"{card.name}: int8 needs pictures for the calibration") from error
            raise ModelError(f"{card.name}: calibration: {error}") from error
        return onnx.load(target)


def _name_nodes(model: ModelProto) -> None:
    # quantize_static excludes nodes by name, and exporters may leave names empty.
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}/{number}"


def _sensitive_convolutions(model: ModelProto) -> set[str]:
    """Names of the convolutions that lose too much in 8 bits: depthwise ones, and the last before the outputs."""
    made_by = {name: node for node in model.graph.node for name in node.output}
    found = {node.name for node in model.graph.node if node.op_type == "Conv" and _groups(node) > 1}
    wanted = [output.name for output in model.graph.output]
    seen: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in seen or name not in made_by:
            continue
        seen.add(name)
        if made_by[name].op_type == "Conv":
            found.add(made_by[name].name)
        else:
            wanted += made_by[name].input
    return found


def _groups(convolution: NodeProto) -> int:
    return next((int(attribute.i) for attribute in convolution.attribute if attribute.name == "group"), 1)


class _CalibrationReader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, pictures: Iterable[Inputs]) -> None:
        self._pictures = iter(pictures)
        self.given = 0

    def get_next(self) -> Inputs | None:
        found = next(self._pictures, None)
        self.given += found is not None
        return found
