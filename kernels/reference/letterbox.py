"""Twin of `kernels.letterbox`: dense scaling matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels import Floats
from kernels.letterbox import Colour, Geometry, Picture, Plane, Taps


def letterbox(picture: Picture, geometry: Geometry, colour: Colour, out: Any) -> None:
    """Twin of `kernels.letterbox.letterbox`."""
    component = np.stack(
        [
            _scale(picture.luma, geometry.luma_rows, geometry.luma_columns),
            _scale(picture.cb, geometry.chroma_rows, geometry.chroma_columns),
            _scale(picture.cr, geometry.chroma_rows, geometry.chroma_columns),
        ]
    )
    value = np.einsum("cd,dyx->cyx", colour.matrix.astype(np.float64), component) + colour.bias[:, None, None]
    value = value.clip(0, 255) * colour.scale[:, None, None] + colour.shift[:, None, None]
    out[:] = colour.pad[:, None, None]
    _, height, width = component.shape
    out[:, geometry.top : geometry.top + height, geometry.left : geometry.left + width] = value


def _scale(plane: Plane, rows: Taps, columns: Taps) -> Floats:
    samples = plane.samples[:, plane.offset :: plane.step].astype(np.float64)
    return _dense(rows, samples.shape[0]) @ samples @ _dense(columns, samples.shape[1]).T


def _dense(taps: Taps, limit: int) -> Floats:
    """(M, limit) f8: the taps as a matrix."""
    matrix = np.zeros((len(taps.first), limit))
    for row, (first, weight) in enumerate(zip(taps.first, taps.weight, strict=True)):
        matrix[row, first : first + len(weight)] = weight
    return matrix
