"""SSD with fixed anchors (Liu et al. 2016, arXiv:1512.02325), as exported by the TensorFlow model zoo, without NMS."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.detect.cards import ModelCard
from engine.detect.heads.candidates import Arrays, Outputs, find_output, from_centre
from engine.errors import ModelError
from engine.types import Floats32


class SsdHead:
    """Outputs: box encodings (B, A, 4) as ty, tx, th, tw, and class scores (B, A, C) after the sigmoid.

    Options: `anchors`, a .npy file beside the model with (A, 4) centre y, centre x, height, width in fractions of the
    input; `centre_scale` and `size_scale`, factors of the box coder (10 and 5).
    """

    def __init__(self, card: ModelCard, arrays: Arrays) -> None:
        self._card = card
        self._xp = arrays.xp
        self._anchors = arrays.constant(_anchors(card))
        self._centre_scale = float(card.head_options.get("centre_scale", 10.0))
        self._size_scale = float(card.head_options.get("size_scale", 5.0))
        self._size = arrays.constant(np.array([card.input.width_px, card.input.height_px] * 2, np.float32))

    def anchors(self, outputs: Outputs) -> tuple[Any, Any]:
        """As `DetectorHead.anchors`."""
        anchors = len(self._anchors)
        encodings = find_output(outputs, (None, anchors, 4), self._card, "box encodings")
        rest = {name: value for name, value in outputs.items() if value is not encodings}
        return find_output(rest, (None, anchors, None), self._card, "scores"), encodings

    def boxes(self, found: Any, anchor: Any) -> Any:
        y, x, height, width = (self._anchors[anchor][..., column] for column in range(4))
        centre = found[..., :2] / self._centre_scale
        size = self._xp.exp(self._xp.clip(found[..., 2:] / self._size_scale, None, 10.0))
        moved = (x + centre[..., 1] * width, y + centre[..., 0] * height)
        return from_centre(self._xp, *moved, size[..., 1] * width, size[..., 0] * height) * self._size


def _anchors(card: ModelCard) -> Floats32:
    path = card.file.parent / str(card.head_options.get("anchors", ""))
    try:
        anchors: Floats32 = np.load(path, allow_pickle=False).astype(np.float32)
    except (OSError, ValueError) as error:
        raise ModelError(f"{card.name}: anchors {path}: {error}") from error
    if anchors.ndim != 2 or anchors.shape[1] != 4:
        raise ModelError(f"{card.name}: anchors {path} have shape {anchors.shape}, expected (A, 4)")
    return anchors
