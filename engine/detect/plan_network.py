"""Runs a TensorRT plan: one execution context and CUDA graph per batch size, all with the same memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.detect.cards import ModelCard
from engine.detect.network import batch_sizes
from engine.detect.onnx import TARGET_SIZES
from engine.detect.plans import write_atomically
from engine.detect.tensorrt import builds_ahead, load_library, make_logger, version_of
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
"""Runs before a capture. TensorRT defers set-up work of a context to its first run with a shape, and that work must not
be captured (TensorRT documentation)."""


@contextmanager
def on_device(device: torch.device) -> Iterator[None]:
    """Run the body on that GPU and on a new stream, and wait for the stream at the end. Does nothing on the CPU."""
    if device.type != "cuda":
        yield
        return
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    with torch.cuda.device(device), torch.cuda.stream(stream):
        yield
        stream.synchronize()


def device_name(device: torch.device) -> str:
    """The name of the GPU; `cpu` on the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


class PlanNetwork:
    """Runs a plan on `device`.

    A context must not change after its graph is captured (TensorRT documentation), so each batch size has its own
    context. Only one runs at a time, so they share scratch memory. `jit` is the file in which TensorRT for RTX caches
    the kernels that it compiled for this GPU. Raises ModelError if the plan does not open or run.
    """

    def __init__(
        self, card: ModelCard, plan: bytes, precision: str, device: torch.device, jit: Path, *, graphs: bool = True
    ) -> None:
        self._trt = trt = load_library()
        self._card, self._precision, self._device = card, precision, device
        self._graphs = graphs and device.type == "cuda"
        self._logger = make_logger(trt)
        self._runtime = trt.Runtime(self._logger)
        with on_device(device):
            self._engine = self._require(self._runtime.deserialize_cuda_engine(plan), "does not open")
            self._names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
            self._sizes = self._find_sizes()
            self._contexts = _ContextFactory(trt, self._engine, jit)
            self._scratch = torch.empty(self._engine.device_memory_size_v2, dtype=torch.uint8, device=device)
            self._memory = self._allocate()
            self._runs = {size: self._prepare(size) for size in self._sizes}
            self._contexts.save_kernels()

    @property
    def runtime(self) -> str:
        return f"{version_of(self._trt)} {self._precision}"

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
        """As `Network.run`."""
        self._runs[size]()
        return {name: value[:size] for name, value in self._memory.items() if not self._is_input(name)}

    def close(self) -> None:
        """Release the device's memory."""
        # TensorRT requires this order: contexts before the engine, the engine before the runtime.
        self._runs.clear()
        del self._contexts, self._engine, self._runtime

    def _find_sizes(self) -> list[int]:
        """The batch sizes in the plan's profile; only 1 if the network was exported for one picture."""
        smallest, _, largest = self._engine.get_tensor_profile_shape(self._card.input.name, 0)
        return [size for size in batch_sizes(largest[0]) if size >= smallest[0]]

    def _allocate(self) -> dict[str, Tensor]:
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
        context = self._require(self._contexts.create(), "gives no context")
        context.set_device_memory(self._scratch.data_ptr(), self._scratch.nbytes)
        for name in filter(self._is_input, self._names):
            fixed, rest = self._engine.get_tensor_shape(name)[0], tuple(self._engine.get_tensor_shape(name))[1:]
            context.set_input_shape(name, (size if fixed == -1 else fixed, *rest))
        return context

    def _prepare(self, size: int) -> Callable[[], None]:
        context = self._context(size)
        for name, memory in self._memory.items():
            context.set_tensor_address(name, memory.data_ptr())
        run = partial(self._enqueue, context)
        for _ in range(_WARMING):
            run()
        return self._capture(run) if self._graphs else run

    def _enqueue(self, context: Any) -> None:
        """Queue one run on the current stream."""
        stream = torch.cuda.current_stream(self._device).cuda_stream if self._device.type == "cuda" else 0
        if not context.execute_async_v3(stream):
            raise ModelError(f"{self._card.name}: the plan does not run: {self._logger.errors()}")

    def _capture(self, run: Callable[[], None]) -> Callable[[], None]:
        """Capture the run as a CUDA graph: one launch instead of one per kernel."""
        graph = torch.cuda.CUDAGraph()
        torch.cuda.current_stream(self._device).synchronize()
        # "thread_local": the decoder's threads may allocate memory now. The default mode makes that an error.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            run()
        return graph.replay

    def _is_input(self, name: str) -> bool:
        return bool(self._engine.get_tensor_mode(name) == self._trt.TensorIOMode.INPUT)

    def _require(self, made: Any, what: str) -> Any:
        if made is None:  # TensorRT's Python API returns None on errors, and reports them to the logger
            raise ModelError(f"{self._card.name}: the plan {what}: {self._logger.errors()}")
        return made


class _ContextFactory:
    """Creates execution contexts that share scratch memory.

    TensorRT for RTX compiles the kernels of a shape when a context first runs it. By default it compiles in the
    background and runs fallback kernels meanwhile. The fallback must not be captured in a graph, so EAGER makes it
    wait.
    """

    def __init__(self, trt: Any, engine: Any, jit: Path) -> None:
        self._engine, self._jit = engine, jit
        self._cache: Any = None
        strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        self._config: Any = strategy
        if builds_ahead(trt):
            self._config = engine.create_runtime_config()
            self._config.set_execution_context_allocation_strategy(strategy)
            eager = trt.DynamicShapesKernelSpecializationStrategy.EAGER
            self._config.dynamic_shapes_kernel_specialization_strategy = eager
            self._cache = self._config.create_runtime_cache()
            if jit.exists():
                self._cache.deserialize(jit.read_bytes())
            self._config.set_runtime_cache(self._cache)

    def create(self) -> Any:
        """A new context; None on an error."""
        return self._engine.create_execution_context(self._config)

    def save_kernels(self) -> None:
        """Store the compiled kernels for a faster next start."""
        if self._cache is not None:
            write_atomically(self._jit, bytes(self._cache.serialize()))
