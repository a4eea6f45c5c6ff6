"""PicoDet (Yu et al. 2021, arXiv:2111.00902): distances to the four edges as distributions (generalised focal loss)."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.detect.cards import ModelCard
from engine.detect.heads.candidates import Arrays, Outputs, cell_table, find_output, read_strides
from engine.errors import ModelError


class PicoDetHead:
    """Outputs per stride: scores (B, A, C), and distributions (B, A, 4 * bins) of left, top, right, bottom.

    Options: `strides` ("8 16 32 64"), `distance_bins` (8).
    """

    def __init__(self, card: ModelCard, arrays: Arrays) -> None:
        self._card = card
        self._xp = arrays.xp
        self._bins = int(card.head_options.get("distance_bins", 8))
        self._bin = arrays.constant(np.arange(self._bins, dtype=np.float32))
        side = card.input
        tables = [cell_table(side.width_px, side.height_px, stride) for stride in read_strides(card, "8 16 32 64")]
        self._counts = [len(table) for table in tables]
        self._cells = arrays.constant(np.concatenate(tables))

    def anchors(self, outputs: Outputs) -> tuple[Any, Any]:
        """As `DetectorHead.anchors`."""
        wide = 4 * self._bins
        edges = {name: value for name, value in outputs.items() if value.ndim == 3 and value.shape[2] == wide}
        rest = {name: value for name, value in outputs.items() if name not in edges}
        if not edges or not rest:
            raise ModelError(f"{self._card.name}: expected scores and distributions of {wide} bins for each stride")
        scores = [find_output(rest, (None, count, None), self._card, "scores") for count in self._counts]
        shares = [find_output(edges, (None, count, wide), self._card, "distributions") for count in self._counts]
        return self._xp.concatenate(scores, 1), self._xp.concatenate(shares, 1)

    def boxes(self, found: Any, anchor: Any) -> Any:
        cell = self._cells[anchor]
        stride = cell[..., 2]
        far = self._distances(found) * stride[..., None]
        x, y = (cell[..., 0] + 0.5) * stride, (cell[..., 1] + 0.5) * stride
        return self._xp.stack((x - far[..., 0], y - far[..., 1], x + far[..., 2], y + far[..., 3]), -1)

    def _distances(self, edges: Any) -> Any:
        """(..., 4): mean of each edge's distribution, in cells."""
        logits = edges.reshape((*edges.shape[:-1], 4, self._bins))
        weight = self._xp.exp(logits - self._xp.amax(logits, -1, keepdims=True))
        return (weight @ self._bin) / weight.sum(-1)
