"""A network in the precision that a plan is to have, written into the ONNX graph itself.

TensorRT 11 and TensorRT for RTX are strongly typed: they compute what the graph says and choose no precision of their
own; TensorRT 10 is asked to do the same. Half precision is made by ONNX Runtime's converter, 8 bits by its calibration:
symmetric, weights per channel, convolutions only, which is what TensorRT's kernels take. Depthwise convolutions and
those that make the outputs stay as they are (of nine vehicles the shipped network found three with them in 8 bits,
eight without), and all that is not quantised stays in single precision: in half precision small scales lose their
digits. Needs the package `onnx`.
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


def prepared(card: ModelCard, content: bytes, precision: Precision, calibration: Iterable[Inputs] = ()) -> bytes:
    """The network of `content` with a dynamic batch, where it allows that, in `precision`.

    calibration  inputs of the network by name that show what a camera sends, for int8; not asked for where the network
                 has Q/DQ nodes of its own

    Raises ModelError where the file is no network, ConfigError where int8 is asked for without calibration.
    """
    model = _batched(_parsed(card, content))
    if precision == "int8" and not _quantised(model):
        model = _calibrated(card, model, calibration)
    if precision == "fp16":
        model = convert_float_to_float16(model, keep_io_types=True)
    return bytes(model.SerializeToString())


def _parsed(card: ModelCard, content: bytes) -> ModelProto:
    try:
        model = onnx.load_from_string(content)
        onnx.checker.check_model(model)
    except Exception as error:
        raise ModelError(f"{card.name}: {card.file} is no sound ONNX network: {error}") from error
    return model


def _batched(model: ModelProto) -> ModelProto:
    """With a dynamic batch; as it is where the pictures cannot be told apart: it is then run for one at a time."""
    if model.graph.input[0].type.tensor_type.shape.dim[0].dim_value != 1:
        return model
    try:
        return with_dynamic_batch(model)
    except (ModelError, onnx.shape_inference.InferenceError):
        return model


def _quantised(model: ModelProto) -> bool:
    return any(node.op_type == "QuantizeLinear" for node in model.graph.node)


def _calibrated(card: ModelCard, model: ModelProto, calibration: Iterable[Inputs]) -> ModelProto:
    reader = _CalibrationReader(calibration)
    _name_nodes(model)
    model = onnx.shape_inference.infer_shapes(model)
    add_pre_process_metadata(model)  # shapes are known, which is what it asks for
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
                nodes_to_exclude=sorted(_delicate(model)),
                extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
            )
        except ValueError as error:
            if not reader.given:
                raise ConfigError(f"{card.name}: int8 wants pictures to calibrate with") from error
            raise ModelError(f"{card.name}: calibration: {error}") from error
        return onnx.load(target)


def _name_nodes(model: ModelProto) -> None:
    """Exporters may leave nodes without a name; what shall not be quantised is told by name."""
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}/{number}"


def _delicate(model: ModelProto) -> set[str]:
    """Names of the convolutions that 8 bits are too few for: depthwise ones, and the last before the outputs."""
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
