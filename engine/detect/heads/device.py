"""Reads a network's outputs in device memory, into arrays whose shapes do not depend on the picture.

A shape that depends on the number of boxes would make the device wait for the host in the middle of a batch. So each
row has room for `MAX_BOXES` boxes, best first; unused places have the score `NO_BOX`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from engine.detect.cards import ModelCard
from engine.detect.heads import Arrays, ClassScores, make_head
from engine.detect.heads.candidates import Outputs

MAX_BOXES = 512
"""Most boxes of one model input. The shipped network gives about ten anchors per vehicle. The worst are omitted."""
NO_BOX = -1.0


class DeviceCandidates(NamedTuple):
    """The candidates of B model inputs on the device, K <= `MAX_BOXES` each, best first."""

    xyxy_model_px: Tensor
    """(B, K, 4) f4: left, top, right, bottom in model pixels."""
    score: Tensor
    """(B, K) f4; `NO_BOX` if there is no box."""
    class_id: Tensor
    """(B, K) i8: `VehicleClass`."""
    overflow: Tensor
    """(B,) i8: number of omitted candidates beyond K."""


class DeviceReader:
    """Reads outputs in device memory. Raises ModelError if card and head do not fit together."""

    def __init__(self, card: ModelCard, device: torch.device) -> None:
        classes = ClassScores(card)
        self._check = classes.check
        self._head = make_head(card, Arrays(torch, lambda table: torch.from_numpy(table).to(device)))
        self._index = torch.from_numpy(classes.index).to(device)
        self._class_id = torch.from_numpy(classes.class_id).to(device, torch.int64)
        self._threshold = classes.threshold

    def read(self, outputs: Outputs) -> DeviceCandidates:
        """The boxes with at least the card's low threshold. Raises ModelError if the outputs do not fit."""
        # Boxes are computed in single precision as on the host, also after a network in half precision.
        single = {name: value.float() if value.is_floating_point() else value for name, value in outputs.items()}
        scores, about = self._head.anchors(single)
        self._check(scores)
        best, which = scores[:, :, self._index].max(dim=2)
        best = torch.where(best >= self._threshold, best, NO_BOX)
        score, anchor = torch.sort(best, dim=1, descending=True, stable=True)
        score, anchor = score[:, :MAX_BOXES], anchor[:, :MAX_BOXES]
        boxes = self._head.boxes(about.gather(1, anchor[..., None].expand(-1, -1, about.shape[2])), anchor)
        overflow = (best > NO_BOX).sum(1) - (score > NO_BOX).sum(1)
        return DeviceCandidates(
            boxes, torch.where(_is_valid(boxes), score, NO_BOX), self._class_id[which.gather(1, anchor)], overflow
        )


def _is_valid(boxes: Tensor) -> Tensor:
    """(B, K) bool: True for boxes that are finite and not empty."""
    return boxes.isfinite().all(-1) & (boxes[..., 2] > boxes[..., 0]) & (boxes[..., 3] > boxes[..., 1])
