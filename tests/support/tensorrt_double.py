"""TensorRT's interface as far as running a plan goes, in the host's memory.

A "plan" is an ONNX network; ONNX Runtime runs it on the given addresses. A call out of order, or for a batch outside
the profile, fails.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import tensorrt_rtx

KINDS = {"tensor(float)": ("FLOAT", np.float32), "tensor(int64)": ("INT64", np.int64)}


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


class Cache:
    """The kernels that were compiled: the sizes that ran."""

    def __init__(self) -> None:
        self.content = b""

    def deserialize(self, content: bytes) -> bool:
        self.content = content
        return True

    def serialize(self) -> bytes:
        return self.content


class RuntimeConfig:
    """`IRuntimeConfig`."""

    dynamic_shapes_kernel_specialization_strategy: Any = None

    def set_execution_context_allocation_strategy(self, strategy: Any) -> None:
        self.strategy = strategy

    def create_runtime_cache(self) -> Cache:
        return Cache()

    def set_runtime_cache(self, cache: Cache) -> None:
        self.cache = cache


class Engine:
    device_memory_size_v2 = 4096

    def __init__(self, plan: bytes, most: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(plan, options, providers=["CPUExecutionProvider"])
        self.inputs, self.outputs = self.session.get_inputs(), self.session.get_outputs()
        self.most = most
        self.broken = False

    @property
    def num_io_tensors(self) -> int:
        return len(self.inputs) + len(self.outputs)

    def get_tensor_name(self, index: int) -> str:
        return str([*self.inputs, *self.outputs][index].name)

    def tensor(self, name: str) -> Any:
        return next(one for one in (*self.inputs, *self.outputs) if one.name == name)

    def get_tensor_mode(self, name: str) -> Any:
        inputs = {one.name for one in self.inputs}
        return tensorrt_rtx.TensorIOMode.INPUT if name in inputs else tensorrt_rtx.TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> Named:
        return Named(KINDS[self.tensor(name).type][0])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(size if isinstance(size, int) else -1 for size in self.tensor(name).shape)

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        _, *rest = self.get_tensor_shape(name)
        return [(1, *rest), (self.most, *rest), (self.most, *rest)]

    def create_runtime_config(self) -> RuntimeConfig:
        return RuntimeConfig()

    def create_execution_context(self, config: RuntimeConfig) -> Context:
        assert config.strategy == tensorrt_rtx.ExecutionContextAllocationStrategy.USER_MANAGED
        assert config.dynamic_shapes_kernel_specialization_strategy is not None
        return Context(self, config.cache)


class Context:
    def __init__(self, engine: Engine, cache: Cache) -> None:
        self._engine = engine
        self._cache = cache
        self._size = 0
        self._memory: tuple[int, int] | None = None
        self._addresses: dict[str, int] = {}

    def set_device_memory(self, memory: int, size: int) -> None:
        assert size >= self._engine.device_memory_size_v2
        self._memory = (memory, size)

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        smallest, _, largest = self._engine.get_tensor_profile_shape(name, 0)
        assert smallest[0] <= shape[0] <= largest[0], "outside the profile"
        assert tuple(shape[1:]) == largest[1:]
        self._size = shape[0]
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (self._size, *self._engine.get_tensor_shape(name)[1:])

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert self._memory is not None
        if self._engine.broken:
            return False
        inputs = {one.name: self._at(one) for one in self._engine.inputs}
        for one, made in zip(self._engine.outputs, self._engine.session.run(None, inputs), strict=True):
            self._at(one)[...] = made
        if str(self._size).encode() not in self._cache.content.split():
            self._cache.content += f" {self._size}".encode()
        return True

    def _at(self, one: Any) -> np.ndarray:
        shape, kind = self.get_tensor_shape(one.name), np.dtype(KINDS[one.type][1])
        memory = (ctypes.c_char * (math.prod(shape) * kind.itemsize)).from_address(self._addresses[one.name])
        return np.frombuffer(memory, kind).reshape(shape)


def tensorrt_double(most: int) -> ModuleType:
    """A module in the place of tensorrt_rtx whose plans are networks, with profiles of 1 to `most`."""

    class Runtime:
        def __init__(self, logger: Any) -> None:
            self._logger = logger

        def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
            if plan == b"junk":
                self._logger.log(tensorrt_rtx.ILogger.Severity.ERROR, "the plan is junk")
                return None
            module.engines.append(Engine(plan, most))
            return module.engines[-1]

    module: Any = ModuleType("tensorrt_double")
    vars(module).update({name: getattr(tensorrt_rtx, name) for name in dir(tensorrt_rtx) if name[0] != "_"})
    module.__version__, module.Runtime, module.engines = "1.0", Runtime, []
    return module  # type: ignore[no-any-return]
