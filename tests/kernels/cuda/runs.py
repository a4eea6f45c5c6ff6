"""A kernel run on copies of its arguments, on the CPU or on the card: all arrays as it leaves them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cuda


def on_cpu(kernel: Callable[..., Any], *arguments: Any) -> list[np.ndarray]:
    copies = [argument.copy() if isinstance(argument, np.ndarray) else argument for argument in arguments]
    kernel(*copies)
    return [copy for copy in copies if isinstance(copy, np.ndarray)]


def on_card(kernel: Callable[..., Any], *arguments: Any) -> list[np.ndarray]:
    sent = [to_card(argument) for argument in arguments]
    kernel(*sent)
    pairs = zip(arguments, sent, strict=True)
    return [there.copy_to_host() for argument, there in pairs if isinstance(argument, np.ndarray)]


def to_card(argument: Any) -> Any:
    """Arrays, and tuples that hold arrays, on the card; anything else as it is."""
    if isinstance(argument, np.ndarray):
        return cuda.to_device(np.ascontiguousarray(argument))
    if isinstance(argument, tuple) and hasattr(argument, "_fields"):
        return type(argument)(*map(to_card, argument))
    return argument


def same(kernel: Any, twin: Any, card: Any, *arguments: Any) -> list[np.ndarray]:
    """The card's arrays, after they were found to be the CPU kernel's and the twin's."""
    found = on_card(card, *arguments)
    for other in (kernel, twin):
        for mine, theirs in zip(found, on_cpu(other, *arguments), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)
    return found
