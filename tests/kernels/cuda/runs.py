"""Run a kernel on copies of its arguments on the GPU, and compare it with the CPU's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cuda

from tests.kernels.compare import on_cpu


def on_gpu(kernel: Callable[..., Any], *arguments: Any) -> list[np.ndarray]:
    sent = [to_gpu(argument) for argument in arguments]
    kernel(*sent)
    pairs = zip(arguments, sent, strict=True)
    return [there.copy_to_host() for argument, there in pairs if isinstance(argument, np.ndarray)]


def to_gpu(argument: Any) -> Any:
    """Copy an array, or the arrays of a named tuple, to the GPU; return anything else unchanged."""
    if isinstance(argument, np.ndarray):
        return cuda.to_device(np.ascontiguousarray(argument))
    if isinstance(argument, tuple) and hasattr(argument, "_fields"):
        return type(argument)(*map(to_gpu, argument))
    return argument


def check(kernel: Any, twin: Any, gpu: Any, *arguments: Any) -> list[np.ndarray]:
    """The GPU's arrays, checked against the CPU kernel's and the twin's."""
    found = on_gpu(gpu, *arguments)
    for other in (kernel, twin):
        for mine, expected in zip(found, on_cpu(other, *arguments), strict=True):
            np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-12)
    return found
