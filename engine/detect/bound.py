"""A network in ONNX Runtime between torch tensors on the device: what runs where TensorRT does not.

Chosen by trying: onnx2torch 1.5.15 makes of the shipped SSD a module whose boxes are off by 0.7 of an anchor (it pads
"SAME" convolutions on the wrong side) and does not read PicoDet at all; ONNX Runtime runs the file that the CPU runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from engine.detect.cards import ModelCard
from engine.detect.network import ladder, picture_shape
from engine.detect.onnx import FAILURES, check_inputs, session
from engine.errors import ConfigError, ModelError

_CUDA = "CUDAExecutionProvider"
_INSTALL = "pip uninstall -y onnxruntime && pip install onnxruntime-gpu"
_CUDA_OPTIONS = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": 0}
"""Trying every algorithm, the default, takes long for every batch size; TF32 would round what is called fp32."""
_TYPES = {
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(uint8)": torch.uint8,
    "tensor(int32)": torch.int32,
    "tensor(int64)": torch.int64,
}
_NUMPY = {
    torch.float32: np.float32,
    torch.float16: np.float16,
    torch.uint8: np.uint8,
    torch.int32: np.int32,
    torch.int64: np.int64,
}


class BoundNetwork:
    """Runs the network `content` of `card` on `device`, at most `most` pictures at a time.

    Raises ConfigError where this ONNX Runtime knows no CUDA, ModelError where card and network do not fit. A network
    made for one picture at a time runs them one at a time.
    """

    def __init__(self, card: ModelCard, content: bytes, precision: str, device: torch.device, most: int) -> None:
        self._card = card
        self._precision = precision
        self._device = device
        self._session = session(card, content, _providers(device))
        others = check_inputs(card, self._session)
        self._sizes = [1] if self._session.get_inputs()[0].shape[0] == 1 else ladder(most)
        self._pictures = torch.zeros(
            (self._sizes[-1], *picture_shape(card)), dtype=getattr(torch, card.input.dtype), device=device
        )
        self._inputs = {card.input.name: self._pictures} | {
            name: torch.from_numpy(np.repeat(value, self._sizes[-1], axis=0)).to(device)
            for name, value in others.items()
        }
        self._outputs = self._memory()
        self._bindings = {size: self._bound(size) for size in self._sizes}

    @property
    def runtime(self) -> str:
        return f"onnxruntime {onnxruntime.__version__} {self._device.type} {self._precision}"

    @property
    def details(self) -> Mapping[str, str]:
        return {"device": torch.cuda.get_device_name(self._device)} if self._device.type == "cuda" else {}

    @property
    def sizes(self) -> Sequence[int]:
        return self._sizes

    @property
    def pictures(self) -> Tensor:
        return self._pictures

    def run(self, size: int) -> Mapping[str, Tensor]:
        """ONNX Runtime has a stream of its own: both sides wait for each other."""
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()
        self._go(self._bindings[size])
        return {name: value[:size] for name, value in self._outputs.items()}

    def close(self) -> None:
        """Nothing runs between calls."""

    def _memory(self) -> dict[str, Tensor]:
        """Room for the outputs of the largest batch; their shapes are those of one picture."""
        binding = self._with_inputs(1)
        names = [output.name for output in self._session.get_outputs()]
        for name in names:
            binding.bind_output(name, self._device.type, self._device.index or 0)
        self._go(binding)
        made = zip(names, binding.get_outputs(), strict=True)
        return {name: self._room(value.shape(), value.data_type()) for name, value in made}

    def _room(self, shape: Sequence[int], kind: str) -> Tensor:
        return torch.empty((self._sizes[-1], *shape[1:]), dtype=_TYPES[kind], device=self._device)

    def _with_inputs(self, size: int) -> onnxruntime.IOBinding:
        binding = self._session.io_binding()
        for name, value in self._inputs.items():
            binding.bind_input(name, *_address(value[:size]))
        return binding

    def _bound(self, size: int) -> onnxruntime.IOBinding:
        binding = self._with_inputs(size)
        for name, value in self._outputs.items():
            binding.bind_output(name, *_address(value[:size]))
        return binding

    def _go(self, binding: onnxruntime.IOBinding) -> None:
        try:
            self._session.run_with_iobinding(binding)
        except FAILURES as error:
            raise ModelError(f"{self._card.name}: {error}") from error


def _providers(device: torch.device) -> list[object]:
    if device.type == "cpu":
        return ["CPUExecutionProvider"]
    if _CUDA not in onnxruntime.get_available_providers():
        raise ConfigError(f"this ONNX Runtime {onnxruntime.__version__} knows no CUDA: {_INSTALL}")
    return [(_CUDA, _CUDA_OPTIONS | {"device_id": device.index or 0}), "CPUExecutionProvider"]


def _address(memory: Tensor) -> tuple[str, int, object, tuple[int, ...], int]:
    """Where a tensor lies, as ONNX Runtime wants it told."""
    kind = _NUMPY[memory.dtype]
    return memory.device.type, memory.device.index or 0, kind, tuple(memory.shape), memory.data_ptr()
