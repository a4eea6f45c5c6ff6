"""A plan at work: a context and a CUDA graph for every batch size of the ladder, all over one memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.detect.cards import ModelCard
from engine.detect.network import ladder
from engine.detect.onnx import TARGET_SIZES
from engine.detect.plans import written
from engine.detect.tensorrt import builds_ahead, library, logger, version
from engine.errors import ModelError

_TYPES = {
    "FLOAT": torch.float32,
    "HALF": torch.float16,
    "INT8": torch.int8,
    "UINT8": torch.uint8,
    "INT32": torch.int32,
    "INT64": torch.int64,
    "BOOL": torch.bool,
}
_WARMING = 2
"""Runs before a capture: TensorRT finishes setting up a context with its first run of a shape."""


@contextmanager
def on_device(device: torch.device) -> Iterator[None]:
    """On that GPU and a stream of one's own, waited for at the end. On torch's CPU, where tests run, nothing of it."""
    if device.type != "cuda":
        yield
        return
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    with torch.cuda.device(device), torch.cuda.stream(stream):
        yield
        stream.synchronize()


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


class PlanNetwork:
    """Runs a plan on `device`.

    A context is not touched once its graph is captured, as TensorRT demands, so every size has one of its own. One runs
    at a time, so they share their scratch memory. `jit` is the file in which TensorRT for RTX keeps the kernels that it
    compiled for this GPU: the next start is quick. Raises ModelError where the plan does not open or run here.
    """

    def __init__(
        self, card: ModelCard, plan: bytes, precision: str, device: torch.device, jit: Path, *, graphs: bool = True
    ) -> None:
        self._trt = trt = library()
        self._card = card
        self._precision = precision
        self._device = device
        self._graphs = graphs and device.type == "cuda"
        self._told = logger(trt)
        self._runtime = trt.Runtime(self._told)
        with on_device(device):
            self._engine = self._need(self._runtime.deserialize_cuda_engine(plan), "does not open")
            self._names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
            self._sizes = self._ladder()
            self._kernels = _Kernels(trt, self._engine, jit)
            self._scratch = torch.empty(self._engine.device_memory_size_v2, dtype=torch.uint8, device=device)
            self._memory = self._room()
            self._runs = {size: self._prepared(size) for size in self._sizes}
            self._kernels.save()

    @property
    def runtime(self) -> str:
        return f"{version(self._trt)} {self._precision}"

    @property
    def details(self) -> Mapping[str, str]:
        return {"device": device_name(self._device), "cuda_graphs": "yes" if self._graphs else "no"}

    @property
    def sizes(self) -> Sequence[int]:
        return self._sizes

    @property
    def pictures(self) -> Tensor:
        return self._memory[self._card.input.name]

    def run(self, size: int) -> Mapping[str, Tensor]:
        self._runs[size]()
        return {name: value[:size] for name, value in self._memory.items() if not self._is_input(name)}

    def close(self) -> None:
        """Let go of the contexts before the engine, and of the engine before the runtime."""
        self._runs.clear()
        del self._kernels, self._engine, self._runtime

    def _ladder(self) -> list[int]:
        """The sizes that the plan's profile allows; a network for one picture at a time has one."""
        smallest, _, largest = self._engine.get_tensor_profile_shape(self._card.input.name, 0)
        return [size for size in ladder(largest[0]) if size >= smallest[0]]

    def _room(self) -> dict[str, Tensor]:
        """Memory for the inputs and outputs of the largest batch."""
        context = self._context(self._sizes[-1])
        memory = {}
        for name in self._names:
            kind = _TYPES[self._engine.get_tensor_dtype(name).name]
            memory[name] = torch.zeros(tuple(context.get_tensor_shape(name)), dtype=kind, device=self._device)
        if TARGET_SIZES in memory:
            side = self._card.input
            memory[TARGET_SIZES].copy_(torch.tensor([side.width_px, side.height_px]))
        return memory

    def _context(self, size: int) -> Any:
        context = self._need(self._kernels.context(), "gives no context")
        context.set_device_memory(self._scratch.data_ptr(), self._scratch.nbytes)
        for name in filter(self._is_input, self._names):
            fixed, rest = self._engine.get_tensor_shape(name)[0], tuple(self._engine.get_tensor_shape(name))[1:]
            context.set_input_shape(name, (size if fixed == -1 else fixed, *rest))
        return context

    def _prepared(self, size: int) -> Callable[[], None]:
        context = self._context(size)
        for name, memory in self._memory.items():
            context.set_tensor_address(name, memory.data_ptr())
        run = partial(self._enqueue, context)
        for _ in range(_WARMING):
            run()
        return self._captured(run) if self._graphs else run

    def _enqueue(self, context: Any) -> None:
        """Queue one run on the current stream."""
        stream = torch.cuda.current_stream(self._device).cuda_stream if self._device.type == "cuda" else 0
        if not context.execute_async_v3(stream):
            raise ModelError(f"{self._card.name}: the plan does not run: {self._told.errors()}")

    def _captured(self, run: Callable[[], None]) -> Callable[[], None]:
        """The run as a CUDA graph: one launch instead of one for every kernel.

        Other threads (the decoder's) may allocate while this one captures, hence "thread_local".
        """
        graph = torch.cuda.CUDAGraph()
        torch.cuda.current_stream(self._device).synchronize()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            run()
        return graph.replay

    def _is_input(self, name: str) -> bool:
        return bool(self._engine.get_tensor_mode(name) == self._trt.TensorIOMode.INPUT)

    def _need(self, made: Any, what: str) -> Any:
        if made is None:
            raise ModelError(f"{self._card.name}: the plan {what}: {self._told.errors()}")
        return made


class _Kernels:
    """Makes contexts whose scratch memory is ours.

    TensorRT for RTX compiles the kernels of a shape when a context first runs it. It has to do so before it returns:
    the fallback kernels that it would run meanwhile must not be captured into a graph.
    """

    def __init__(self, trt: Any, engine: Any, jit: Path) -> None:
        self._engine = engine
        self._jit = jit
        self._cache: Any = None
        self._wish: Any = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if builds_ahead(trt):
            self._wish = engine.create_runtime_config()
            self._wish.set_execution_context_allocation_strategy(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
            eager = trt.DynamicShapesKernelSpecializationStrategy.EAGER
            self._wish.dynamic_shapes_kernel_specialization_strategy = eager
            self._cache = self._wish.create_runtime_cache()
            if jit.exists():
                self._cache.deserialize(jit.read_bytes())
            self._wish.set_runtime_cache(self._cache)

    def context(self) -> Any:
        return self._engine.create_execution_context(self._wish)

    def save(self) -> None:
        """Keep the compiled kernels for the next start; losing them only costs time."""
        if self._cache is not None:
            written(self._jit, bytes(self._cache.serialize()))
