"""End-to-end detectors of the DETR family: RT-DETR (arXiv:2304.08069), D-FINE (arXiv:2410.13842), RF-DETR.

They have a fixed number of queries, no anchors, and by design no duplicates. There are two kinds of exports:

logits    boxes (B, Q, 4) as centre x, centre y, width, height in fractions of the input, and logits (B, Q, C)
decoded   boxes (B, Q, 4) as left, top, right, bottom in pixels, labels (B, Q) and scores (B, Q); such a network has a
          second input, `orig_target_sizes`, which the detector sets to the model's own size
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.detect.cards import ModelCard
from engine.detect.heads.candidates import Arrays, Outputs, find_output, from_centre
from engine.errors import ModelError


class DetrHead:
    """Options `boxes`, `logits`, `labels`, `scores`: names of the outputs, needed if shapes do not identify them."""

    def __init__(self, card: ModelCard, arrays: Arrays) -> None:
        self._card = card
        self._xp = arrays.xp
        self._size = arrays.constant(np.array([card.input.width_px, card.input.height_px] * 2, np.float32))
        highest = max((int(index) for index in card.classes if index.isdecimal()), default=0)
        self._label = arrays.constant(np.arange(highest + 1))

    def anchors(self, outputs: Outputs) -> tuple[Any, Any]:
        """As `DetectorHead.anchors`."""
        boxes = self._named(outputs, "boxes", (None, None, 4))
        rest = {name: value for name, value in outputs.items() if value is not boxes}
        decoded = any(value.ndim == 2 for value in rest.values())
        scores = self._one_hot(rest) if decoded else self._sigmoid(self._named(rest, "logits", (None, None, None)))
        if scores.shape[:2] != boxes.shape[:2]:
            shapes = f"boxes {tuple(boxes.shape)} and scores {tuple(scores.shape)}"
            raise ModelError(f"{self._card.name}: {shapes} do not fit together")
        return scores, boxes if decoded else self._corners(boxes)

    def boxes(self, found: Any, anchor: Any) -> Any:
        return found

    def _corners(self, boxes: Any) -> Any:
        return from_centre(self._xp, *(boxes[..., column] for column in range(4))) * self._size

    def _named(self, outputs: Outputs, what: str, shape: tuple[int | None, ...]) -> Any:
        name = self._card.head_options.get(what)
        if name is None:
            return find_output(outputs, shape, self._card, what)
        if name not in outputs:
            raise ModelError(f"{self._card.name}: no output has the name {name!r}: {sorted(outputs)}")
        return outputs[str(name)]

    def _one_hot(self, outputs: Outputs) -> Any:
        """(B, Q, C) scores from an export with one label per query."""
        whole = {name: value for name, value in outputs.items() if "int" in str(value.dtype)}
        labels = self._named(whole, "labels", (None, None))
        rest = {name: value for name, value in outputs.items() if name not in whole}
        scores = self._named(rest, "scores", (None, None))
        return self._xp.where(labels[:, :, None] == self._label, scores[:, :, None], 0.0)

    def _sigmoid(self, logits: Any) -> Any:
        return 1 / (1 + self._xp.exp(-self._xp.clip(logits, -80, 80)))
