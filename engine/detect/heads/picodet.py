"""PicoDet (Yu et al. 2021, arXiv:2111.00902): distances to the four edges as distributions (generalised focal loss)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.cards import ModelCard
from engine.detect.heads.candidates import (
    Candidates,
    ClassScores,
    Outputs,
    candidates_of,
    cells,
    output,
    strides_of,
)
from engine.errors import ModelError


class PicoDetHead:
    """Outputs, one pair a stride: scores (B, A, C) and distributions (B, A, 4 * bins) of left, top, right, bottom.

    Options: `strides` ("8 16 32 64"), `distance_bins` (8).
    """

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._classes = ClassScores(card)
        self._bins = int(card.head_options.get("distance_bins", 8))
        side = card.input
        self._maps = [cells(side.width_px, side.height_px, s) for s in strides_of(card, "8 16 32 64")]
        self._cells = np.concatenate(self._maps)

    def read(self, outputs: Outputs) -> Candidates:
        scores, edges = self._joined(outputs)
        row, anchor, score, class_id = self._classes.best(scores)
        column, line, stride = self._cells[anchor].T
        left, top, right, bottom = (self._distances(edges[row, anchor]) * stride[:, None]).T
        x, y = (column + 0.5) * stride, (line + 0.5) * stride
        boxes = np.stack([x - left, y - top, x + right, y + bottom], axis=1)
        return candidates_of(row, boxes, score, class_id)

    def _joined(self, outputs: Outputs) -> tuple[NDArray[Any], NDArray[Any]]:
        """Scores and distributions of all strides, one after the other."""
        wide = 4 * self._bins
        edges = {name: value for name, value in outputs.items() if value.ndim == 3 and value.shape[2] == wide}
        rest = {name: value for name, value in outputs.items() if name not in edges}
        if not edges or not rest:
            raise ModelError(f"{self._card.name}: expected scores and distributions of {wide} bins at every stride")
        pick = [
            (
                output(rest, (None, len(cells), None), self._card, "scores"),
                output(edges, (None, len(cells), wide), self._card, "distributions"),
            )
            for cells in self._maps
        ]
        return np.concatenate([s for s, _ in pick], axis=1), np.concatenate([e for _, e in pick], axis=1)

    def _distances(self, edges: NDArray[Any]) -> NDArray[Any]:
        """(K, 4) in cells: the mean of every edge's distribution."""
        logits = edges.reshape(len(edges), 4, self._bins)
        weight = np.exp(logits - logits.max(axis=2, keepdims=True))
        mean: NDArray[Any] = (weight @ np.arange(self._bins, dtype=np.float32)) / weight.sum(axis=2)
        return mean
