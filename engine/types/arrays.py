"""Array types and units of the data classes in this package, and the checks of their constructors."""

from __future__ import annotations

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
"""One metre per second in kilometres per hour."""


def require(condition: bool, message: str) -> None:
    """Raises ValueError with the message if the condition is false."""
    if not condition:
        raise ValueError(message)


def require_rows(table: object, rows: int, /, *columns: str) -> None:
    """Raises ValueError if one of these columns of the table does not have `rows` rows."""
    for column in columns:
        if (found := len(getattr(table, column))) != rows:
            raise ValueError(f"{type(table).__name__}.{column} has {found} rows, expected {rows}")
