"""YOLOX (Ge et al. 2021, arXiv:2107.08430): anchor-free, one box a cell, objectness times class score."""

from __future__ import annotations

import numpy as np

from engine.cards import ModelCard
from engine.detect.heads.candidates import (
    Candidates,
    ClassScores,
    Outputs,
    candidates_of,
    cells,
    centred,
    output,
    strides_of,
)


class YoloxHead:
    """Output (B, A, 5 + C): centre offset in cells, logarithm of the size in cells, objectness, class scores.

    Option: `strides` ("8 16 32"). The network is exported without `decode_in_inference`.
    """

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._classes = ClassScores(card)
        side = card.input
        self._cells = np.concatenate([cells(side.width_px, side.height_px, s) for s in strides_of(card, "8 16 32")])

    def read(self, outputs: Outputs) -> Candidates:
        raw = output(outputs, (None, len(self._cells), None), self._card, "predictions")
        row, anchor, score, class_id = self._classes.best(raw[:, :, 5:] * raw[:, :, 4:5])
        box = raw[row, anchor, :4]
        column, line, stride = self._cells[anchor].T
        size = np.exp(np.minimum(box[:, 2:], 10.0)) * stride[:, None]
        boxes = centred((box[:, 0] + column) * stride, (box[:, 1] + line) * stride, size[:, 0], size[:, 1])
        return candidates_of(row, boxes, score, class_id)
