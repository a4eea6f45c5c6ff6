"""SSD with fixed anchors (Liu et al. 2016, arXiv:1512.02325), as the TensorFlow model zoo exports it before its NMS."""

from __future__ import annotations

import numpy as np

from engine.cards import ModelCard
from engine.detect.heads.candidates import Candidates, ClassScores, Outputs, candidates_of, centred, output
from engine.errors import ModelError
from engine.types import Floats32


class SsdHead:
    """Outputs: box encodings (B, A, 4) as ty, tx, th, tw, and class scores (B, A, C) after the sigmoid.

    Options: `anchors`, a .npy file beside the model, (A, 4) as centre y, centre x, height, width in fractions of the
    input; `centre_scale` and `size_scale`, the box coder's factors (10 and 5).
    """

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._classes = ClassScores(card)
        self._anchors = _anchors(card)
        self._centre_scale = float(card.head_options.get("centre_scale", 10.0))
        self._size_scale = float(card.head_options.get("size_scale", 5.0))

    def read(self, outputs: Outputs) -> Candidates:
        anchors = len(self._anchors)
        encodings = output(outputs, (None, anchors, 4), self._card, "box encodings")
        scores = output(
            {k: v for k, v in outputs.items() if v is not encodings}, (None, anchors, None), self._card, "scores"
        )
        row, anchor, score, class_id = self._classes.best(scores)
        boxes = self._boxes(encodings[row, anchor], self._anchors[anchor])
        return candidates_of(row, boxes, score, class_id)

    def _boxes(self, encoding: Floats32, anchor: Floats32) -> Floats32:
        y, x, height, width = anchor.T
        centre = encoding[:, :2] / self._centre_scale
        size = np.exp(np.minimum(encoding[:, 2:] / self._size_scale, 10.0))
        boxes = centred(x + centre[:, 1] * width, y + centre[:, 0] * height, size[:, 1] * width, size[:, 0] * height)
        scaled: Floats32 = boxes * np.array([self._card.input.width_px, self._card.input.height_px] * 2, np.float32)
        return scaled


def _anchors(card: ModelCard) -> Floats32:
    path = card.file.parent / str(card.head_options.get("anchors", ""))
    try:
        anchors: Floats32 = np.load(path, allow_pickle=False).astype(np.float32)
    except (OSError, ValueError) as error:
        raise ModelError(f"{card.name}: anchors {path}: {error}") from error
    if anchors.ndim != 2 or anchors.shape[1] != 4:
        raise ModelError(f"{card.name}: anchors {path} have shape {anchors.shape}, expected (A, 4)")
    return anchors
