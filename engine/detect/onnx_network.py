"""A network in ONNX Runtime that reads and writes torch tensors on the device. It runs if TensorRT does not.

ONNX Runtime runs the same file as the CPU. The alternative, onnx2torch 1.5.15, was tried: it pads the "SAME"
convolutions of the shipped SSD on the wrong side, so boxes are off by 0.7 of an anchor, and it does not read PicoDet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from engine.detect.cards import ModelCard
from engine.detect.network import batch_sizes, picture_shape
from engine.detect.onnx import FAILURES, check_inputs, open_session
from engine.errors import ConfigError, ModelError

_CUDA = "CUDAExecutionProvider"
_INSTALL = "pip uninstall -y onnxruntime && pip install onnxruntime-gpu"
_CUDA_OPTIONS = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": 0}
"""The default EXHAUSTIVE search of cuDNN algorithms takes long for each batch size. TF32 would round fp32 to 10 bits of
mantissa (documentation of ONNX Runtime, CUDA execution provider)."""
_TYPES = {
    "tensor(float)": (torch.float32, np.float32),
    "tensor(float16)": (torch.float16, np.float16),
    "tensor(uint8)": (torch.uint8, np.uint8),
    "tensor(int32)": (torch.int32, np.int32),
    "tensor(int64)": (torch.int64, np.int64),
}
_NUMPY = dict(_TYPES.values())
"""`IOBinding` takes NumPy types."""


class OnnxNetwork:
    """Runs the network `content` of `card` on `device`, with at most `most` pictures at a time.

    A network that was exported for one picture runs them one at a time. Raises ConfigError if ONNX Runtime is built
    without CUDA, ModelError if card and network do not fit together.
    """

    def __init__(self, card: ModelCard, content: bytes, precision: str, device: torch.device, most: int) -> None:
        self._card, self._precision, self._device = card, precision, device
        self._session = open_session(card, content, _providers(device))
        others = check_inputs(card, self._session)
        self._sizes = [1] if self._session.get_inputs()[0].shape[0] == 1 else batch_sizes(most)
        self._pictures = torch.zeros(
            (self._sizes[-1], *picture_shape(card)), dtype=getattr(torch, card.input.dtype), device=device
        )
        self._inputs = {card.input.name: self._pictures} | {
            name: torch.from_numpy(np.repeat(value, self._sizes[-1], axis=0)).to(device)
            for name, value in others.items()
        }
        self._outputs = self._allocate_outputs()
        self._bindings = {size: self._bind(size) for size in self._sizes}

    @property
    def runtime(self) -> str:
        """As `Network.runtime`."""
        return f"onnxruntime {onnxruntime.__version__} {self._device.type} {self._precision}"

    @property
    def details(self) -> Mapping[str, str]:
        """As `Network.details`."""
        return {"device": torch.cuda.get_device_name(self._device)} if self._device.type == "cuda" else {}

    @property
    def sizes(self) -> Sequence[int]:
        return self._sizes

    @property
    def pictures(self) -> Tensor:
        return self._pictures

    def run(self, size: int) -> Mapping[str, Tensor]:
        """As `Network.run`, but complete when it returns."""
        # ONNX Runtime works on its own stream, which torch's stream cannot wait for. So the host waits for both.
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()
        self._run_bound(self._bindings[size])
        return {name: value[:size] for name, value in self._outputs.items()}

    def close(self) -> None:
        """Does nothing: nothing runs between calls."""

    def _allocate_outputs(self) -> dict[str, Tensor]:
        """Memory for the outputs of the largest batch. A run of one picture gives their shapes."""
        binding = self._bind_inputs(1)
        names = [output.name for output in self._session.get_outputs()]
        for name in names:
            binding.bind_output(name, self._device.type, self._device.index or 0)
        self._run_bound(binding)
        made = zip(names, binding.get_outputs(), strict=True)
        found = {name: ((self._sizes[-1], *value.shape()[1:]), _TYPES[value.data_type()][0]) for name, value in made}
        return {name: torch.empty(*shape, dtype=kind, device=self._device) for name, (shape, kind) in found.items()}

    def _bind_inputs(self, size: int) -> onnxruntime.IOBinding:
        binding = self._session.io_binding()
        for name, value in self._inputs.items():
            binding.bind_input(name, *_address(value[:size]))
        return binding

    def _bind(self, size: int) -> onnxruntime.IOBinding:
        binding = self._bind_inputs(size)
        for name, value in self._outputs.items():
            binding.bind_output(name, *_address(value[:size]))
        return binding

    def _run_bound(self, binding: onnxruntime.IOBinding) -> None:
        try:
            self._session.run_with_iobinding(binding)
        except FAILURES as error:
            raise ModelError(f"{self._card.name}: {error}") from error


def _providers(device: torch.device) -> list[object]:
    if device.type == "cpu":
        return ["CPUExecutionProvider"]
    if _CUDA not in onnxruntime.get_available_providers():
        raise ConfigError(f"ONNX Runtime {onnxruntime.__version__} is built without CUDA: {_INSTALL}")
    return [(_CUDA, _CUDA_OPTIONS | {"device_id": device.index or 0}), "CPUExecutionProvider"]


def _address(memory: Tensor) -> tuple[str, int, object, tuple[int, ...], int]:
    """Device, type, shape and address of a tensor, as the arguments of `IOBinding.bind_*`."""
    kind = _NUMPY[memory.dtype]
    return memory.device.type, memory.device.index or 0, kind, tuple(memory.shape), memory.data_ptr()
