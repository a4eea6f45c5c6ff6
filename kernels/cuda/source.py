"""Compiles the Python function of a CPU kernel, and all functions that it calls, for the GPU."""

from __future__ import annotations

from functools import cache
from types import FunctionType
from typing import Any

import numba.cuda
from numba.core.dispatcher import Dispatcher

cuda: Any = numba.cuda
"""Numba's CUDA target or its simulator. Untyped, because Numba has no types for functions used inside a kernel."""


@cache
def on_device(compiled: Any) -> Any:
    """The device function with the source of `compiled`, a function decorated with `njit`.

    Every compiled function that the source names is replaced by its device function. Numba does so by itself when it
    compiles for a GPU, but not in the simulator.
    """
    body = compiled.py_func
    names = {
        name: on_device(value) if isinstance(value, Dispatcher) else value
        for name, value in body.__globals__.items()
        if name in body.__code__.co_names
    }
    return cuda.jit(device=True)(FunctionType(body.__code__, names, body.__name__, body.__defaults__))


def launch(kernel: Any, count: int, stream: Any, *arguments: Any) -> None:
    """Start a kernel with one thread for each of `count` points, tracks or lamps; does nothing if `count` is 0."""
    if count > 0:
        kernel.forall(count, stream=stream)(*arguments)
