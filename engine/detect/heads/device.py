"""Reads a network's outputs where they lie: best anchors and their boxes, in shapes that do not depend on the picture.

A count of boxes that the host had to learn first would stop the device in the middle of a batch. So every row has room
for `MOST` boxes, best first, and what is no box has the score `NONE`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from engine.detect.cards import ModelCard
from engine.detect.heads import Arrays, ClassScores, head_of
from engine.detect.heads.candidates import Outputs

MOST = 512
"""Boxes of one model input. The shipped network gives some ten anchors a vehicle; what is beyond are the worst ones."""
NONE = -1.0


class Found(NamedTuple):
    """The candidates of B model inputs on their device, K <= `MOST` to each, best first."""

    xyxy_model_px: Tensor
    """(B, K, 4) f4."""
    score: Tensor
    """(B, K) f4; `NONE` where there is no box."""
    class_id: Tensor
    """(B, K) i8: `VehicleClass`."""
    more: Tensor
    """(B,) i8: candidates beyond K, which were left out."""


class DeviceReader:
    """Raises ModelError where card and head do not fit."""

    def __init__(self, card: ModelCard, device: torch.device) -> None:
        classes = ClassScores(card)
        self._check = classes.check
        self._head = head_of(card, Arrays(torch, lambda table: torch.from_numpy(table).to(device)))
        self._index = torch.from_numpy(classes.index).to(device)
        self._class_id = torch.from_numpy(classes.class_id).to(device, torch.int64)
        self._threshold = classes.threshold

    def read(self, outputs: Outputs) -> Found:
        """The boxes of at least the card's low threshold. Raises ModelError where the outputs do not fit."""
        scores, about = self._head.anchors({name: _single(value) for name, value in outputs.items()})
        self._check(scores)
        best, which = scores[:, :, self._index].max(dim=2)
        best = torch.where(best >= self._threshold, best, NONE)
        score, anchor = torch.sort(best, dim=1, descending=True, stable=True)
        score, anchor = score[:, :MOST], anchor[:, :MOST]
        boxes = self._head.boxes(about.gather(1, anchor[..., None].expand(-1, -1, about.shape[2])), anchor)
        more = (best > NONE).sum(1) - (score > NONE).sum(1)
        return Found(boxes, torch.where(_sound(boxes), score, NONE), self._class_id[which.gather(1, anchor)], more)


def _single(value: Tensor) -> Tensor:
    """Half precision is for the network; boxes are computed in single precision, as on the host."""
    return value.float() if value.is_floating_point() else value


def _sound(boxes: Tensor) -> Tensor:
    """(B, K): finite and not empty."""
    return boxes.isfinite().all(-1) & (boxes[..., 2] > boxes[..., 0]) & (boxes[..., 3] > boxes[..., 1])
