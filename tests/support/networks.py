"""Small real networks in ONNX: outputs that a test chooses, scaled by the brightness of the picture's corner."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

COCO = {"0": "person", "1": "bicycle", "2": "car", "3": "motorcycle", "5": "bus", "7": "truck"}


def make_network(
    path: Path,
    outputs: Mapping[str, NDArray[Any]],
    *,
    lit: frozenset[str] = frozenset(),
    shape: tuple[int | str, ...] = (1, 3, 64, 64),
    sizes_input: bool = False,
) -> None:
    """A network with these outputs (1, ...); those in `lit` are multiplied by the input's first value."""
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)]
    if sizes_input:
        inputs.append(helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, (1, 2)))
    nodes = [
        helper.make_node("Reshape", ["images", "flat"], ["line"]),
        helper.make_node("Slice", ["line", "zero", "one"], ["light"]),
    ]
    constants = {"flat": np.array([-1]), "zero": np.array([0]), "one": np.array([1])}
    declared = []
    for name, value in outputs.items():
        constants[f"{name}_value"] = value
        nodes.append(
            helper.make_node("Mul", [f"{name}_value", "light"], [name])
            if name in lit
            else helper.make_node("Identity", [f"{name}_value"], [name])
        )
        declared.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape))
    if sizes_input:
        nodes.append(helper.make_node("Identity", ["orig_target_sizes"], ["sizes_seen"]))
        declared.append(helper.make_tensor_value_info("sizes_seen", TensorProto.INT64, (1, 2)))
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "network", inputs, declared, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def make_card(path: Path, head: str, **changes: object) -> Path:
    """A card file for the network at `path`, beside it; `changes` are further lines, tables as dicts."""
    plain: dict[str, object] = {
        "name": "small",
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "licence": "none",
        "source": "made by the test",
        "head": head,
        "score_threshold": 0.5,
        "low_score_threshold": 0.3,
    }
    tables: dict[str, dict[str, object]] = {
        "input": {"name": "images", "width_px": 64, "height_px": 64},
        "classes": dict(COCO),
        "head_options": {},
    }
    for key, value in changes.items():
        if isinstance(value, dict):
            tables[key] |= value
        else:
            plain[key] = value
    lines = [f"{key} = {_toml(value)}" for key, value in plain.items()]
    for table, entries in tables.items():
        lines += [f"[{table}]", *(f"{key} = {_toml(value)}" for key, value in entries.items())]
    card = path.with_suffix(".toml")
    card.write_text("\n".join(lines), encoding="utf-8")
    return card


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
