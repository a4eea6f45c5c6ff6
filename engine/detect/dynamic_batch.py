"""Makes the batch dimension of an exported network dynamic: python -m engine.detect.dynamic_batch IN.onnx OUT.onnx

Detectors are often exported for one picture at a time, with the 1 also written into the constant shapes of their
Reshape nodes. Weights and arithmetic do not change. Needs the package `onnx`. Run it once for each new model.
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from engine.errors import ModelError


def with_dynamic_batch(model: ModelProto) -> ModelProto:
    """A copy of `model` with `batch` as the first dimension of all inputs and outputs.

    Raises ModelError if a Reshape computes its shape or mixes the batch into another dimension.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    _drop_unused(copy)
    shapes = _constants(copy)
    for node in copy.graph.node:
        if node.op_type == "Reshape":
            copy.graph.initializer.append(_keep_first(node, shapes))
    for value in (*copy.graph.input, *copy.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del copy.graph.value_info[:]
    _drop_unused(copy)
    copy = onnx.shape_inference.infer_shapes(copy, strict_mode=True)
    onnx.checker.check_model(copy)
    return copy


def _keep_first(node: NodeProto, shapes: dict[str, TensorProto]) -> TensorProto:
    """Give the node a new shape with 0 as first dimension, "as in the input" (ONNX Reshape). Returns that shape."""
    if node.input[1] not in shapes:
        raise ModelError(f"{node.name}: the shape is computed, not constant")
    shape = numpy_helper.to_array(shapes[node.input[1]]).copy()
    if shape[0] != 1:
        raise ModelError(f"{node.name}: shape {shape.tolist()} does not begin with a batch of 1")
    shape[0] = 0
    node.input[1] = f"{node.output[0]}/shape"
    return numpy_helper.from_array(shape, node.input[1])


def _constants(model: ModelProto) -> dict[str, TensorProto]:
    made = {node.output[0]: node.attribute[0].t for node in model.graph.node if node.op_type == "Constant"}
    return made | {tensor.name: tensor for tensor in model.graph.initializer}


def _drop_unused(model: ModelProto) -> None:
    """Remove unused initializers, and the inputs that are initializers too, as older exporters (IR version 3) write."""
    read = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    del model.graph.initializer[:], model.graph.input[:]
    model.graph.initializer.extend(kept)
    model.graph.input.extend(inputs)


def main(source: str, target: str) -> None:
    """Convert the file `source` into the file `target`."""
    onnx.save(with_dynamic_batch(onnx.load(source)), Path(target))


if __name__ == "__main__":
    main(*sys.argv[1:])
