"""One source for both: a CPU kernel's Python function, compiled for the card with everything that it calls."""

from __future__ import annotations

from functools import cache
from types import FunctionType
from typing import Any

import numba.cuda
from numba.core.dispatcher import Dispatcher

cuda: Any = numba.cuda
"""Numba's CUDA target, or its simulator; without types, which Numba does not state for what works inside a kernel."""


@cache
def on_device(compiled: Any) -> Any:
    """The device function of the same source as `compiled`, a function decorated with `njit`.

    Its source is read again with every compiled function that it names replaced by that one's device function. Numba
    does as much by itself when it compiles for a card, but not in the simulator.
    """
    body = compiled.py_func
    names = {
        name: on_device(value) if isinstance(value, Dispatcher) else value
        for name, value in body.__globals__.items()
        if name in body.__code__.co_names
    }
    return cuda.jit(device=True)(FunctionType(body.__code__, names, body.__name__, body.__defaults__))


def launch(kernel: Any, count: int, stream: Any, *arguments: Any) -> None:
    """Start a kernel with one thread for each of `count` points or tracks; none, none."""
    if count > 0:
        kernel.forall(count, stream=stream)(*arguments)
