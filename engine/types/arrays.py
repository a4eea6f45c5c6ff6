"""Arrays and units that the nouns are made of, and how they are checked at birth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Ints32 = NDArray[np.int32]
Bytes8 = NDArray[np.uint8]
Flags = NDArray[np.bool_]
BoxPx = tuple[float, float, float, float]
"""Left, top, right, bottom in image pixels."""
KMH = 3.6
"""Kilometres an hour in one metre a second."""


def require(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(what)


def require_rows(name: str, rows: int, /, **columns: NDArray[Any]) -> None:
    for column, values in columns.items():
        if len(values) != rows:
            raise ValueError(f"{name}.{column} has {len(values)} rows, expected {rows}")
