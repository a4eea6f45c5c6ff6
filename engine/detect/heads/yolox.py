"""YOLOX (Ge et al. 2021, arXiv:2107.08430): anchor-free, one box per cell; score = objectness times class score."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.detect.cards import ModelCard
from engine.detect.heads.candidates import Arrays, Outputs, cell_table, find_output, from_centre, read_strides


class YoloxHead:
    """Output (B, A, 5 + C): centre offset in cells, logarithm of the size in cells, objectness, class scores.

    Option: `strides` ("8 16 32"). The network must be exported without `decode_in_inference`.
    """

    def __init__(self, card: ModelCard, arrays: Arrays) -> None:
        self._card = card
        self._xp = arrays.xp
        side = card.input
        tables = [cell_table(side.width_px, side.height_px, stride) for stride in read_strides(card, "8 16 32")]
        self._cells = arrays.constant(np.concatenate(tables))

    def anchors(self, outputs: Outputs) -> tuple[Any, Any]:
        """As `DetectorHead.anchors`."""
        raw = find_output(outputs, (None, len(self._cells), None), self._card, "predictions")
        return raw[:, :, 5:] * raw[:, :, 4:5], raw[:, :, :4]

    def boxes(self, found: Any, anchor: Any) -> Any:
        cell = self._cells[anchor]
        stride = cell[..., 2]
        size = self._xp.exp(self._xp.clip(found[..., 2:], None, 10.0)) * stride[..., None]
        x, y = (found[..., 0] + cell[..., 0]) * stride, (found[..., 1] + cell[..., 1]) * stride
        return from_centre(self._xp, x, y, size[..., 0], size[..., 1])
