"""End-to-end detectors of the DETR family: RT-DETR (arXiv:2304.08069), D-FINE (arXiv:2410.13842), RF-DETR.

A fixed number of queries, no anchors, no duplicates by design. Two exports are in use:

logits    boxes (B, Q, 4) as centre x, centre y, width, height in fractions of the input, and logits (B, Q, C)
decoded   boxes (B, Q, 4) as left, top, right, bottom in pixels, labels (B, Q) and scores (B, Q); such a network has a
          second input, `orig_target_sizes`, which the detector sets to the model's own size
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.cards import ModelCard
from engine.detect.heads.candidates import Candidates, ClassScores, Outputs, candidates_of, centred, output
from engine.errors import ModelError


class DetrHead:
    """Options: `boxes`, `logits`, `labels`, `scores`, the outputs' names where they cannot be told by their shape."""

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._classes = ClassScores(card)
        side = card.input
        self._size = np.array([side.width_px, side.height_px] * 2, np.float32)

    def read(self, outputs: Outputs) -> Candidates:
        boxes = self._named(outputs, "boxes", (None, None, 4))
        rest = {name: value for name, value in outputs.items() if value is not boxes}
        decoded = any(value.ndim == 2 for value in rest.values())
        scores = self._one_hot(rest) if decoded else _sigmoid(self._named(rest, "logits", (None, None, None)))
        if scores.shape[:2] != boxes.shape[:2]:
            raise ModelError(f"{self._card.name}: boxes {boxes.shape} and scores {scores.shape} do not fit together")
        row, query, score, class_id = self._classes.best(scores)
        found = boxes[row, query]
        return candidates_of(row, found if decoded else centred(*found.T) * self._size, score, class_id)

    def _named(self, outputs: Outputs, what: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
        name = self._card.head_options.get(what)
        if name is None:
            return output(outputs, shape, self._card, what)
        if name not in outputs:
            raise ModelError(f"{self._card.name}: no output is called {name!r}: {sorted(outputs)}")
        return outputs[str(name)]

    def _one_hot(self, outputs: Outputs) -> NDArray[Any]:
        """(B, Q, C) scores of an export that has chosen one label a query."""
        whole = {k: v for k, v in outputs.items() if np.issubdtype(v.dtype, np.integer)}
        labels = self._named(whole, "labels", (None, None))
        scores = self._named({k: v for k, v in outputs.items() if k not in whole}, "scores", (None, None))
        highest = max(int(labels.max(initial=0)), *(int(index) for index in self._card.classes))
        return np.where(labels[:, :, None] == np.arange(highest + 1), scores[:, :, None], 0.0)


def _sigmoid(logits: NDArray[Any]) -> NDArray[Any]:
    probability: NDArray[Any] = 1 / (1 + np.exp(-logits.clip(-80, 80)))
    return probability
