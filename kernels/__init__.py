"""Numba kernels for geometry, association and speed. They work on arrays and import nothing from the engine.

Every kernel has a NumPy twin of the same name in `kernels.reference`; tests compare the two. `cache=True` stores the
machine code beside the source, `nogil=True` lets other threads of the engine run meanwhile.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Ints32 = NDArray[np.int32]
Counts32 = NDArray[np.uint32]
Bytes8 = NDArray[np.uint8]
Signs = NDArray[np.int8]
Flags = NDArray[np.bool_]
