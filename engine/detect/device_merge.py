"""`merge` on the device: the same boxes as `engine.detect.merge` makes of the same candidates, in one copy to the host.

The order decides: a box is struck out by a better one that is not struck out itself. Told as a fixed point,
`keep = there and not any(better and same vehicle and keep)`, the whole batch converges in as many rounds as the longest
chain of boxes that strike each other out is long: few. `_ROUNDS` are done without asking; should a chain have been
longer, the copy says so and the host's kernel finishes the batch. torchvision's NMS is not used: it knows no "across
regions" (`kernels.overlap.SuppressionLimits`), and it makes the host wait for the number of its boxes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.detect.cards import ModelCard
from engine.detect.heads.device import NONE, Found
from engine.detect.merge import KIND_OF, doubtful, in_image, limits, places
from engine.types import Detections, Floats32, FrameBatch, Ints
from kernels.overlap import SuppressionLimits, suppress

_ROUNDS = 8
_MOST = 512
"""Candidates of one frame, of all its regions."""
_FRAMES_AT_ONCE = 16
"""Bounds the memory for comparing every box of a frame with every other: 16 x 512 x 512 x 8 bytes a table."""
_COLUMNS = 10
_BOX, _SCORE, _CLASS, _ROW, _KEPT, _SETTLED, _MORE = slice(0, 4), 4, 5, 6, 7, 8, 9


class Boxes(NamedTuple):
    """The candidates by frame, best first, in image pixels."""

    xyxy_px: Tensor
    """(F, M, 4) f4."""
    score: Tensor
    """(F, M) f4; `NONE` where there is no box."""
    class_id: Tensor
    """(F, M) i8."""
    row: Tensor
    """(F, M) i8: row of the batch that the box was found in."""
    more: Tensor
    """(F,) i8: candidates for which there was no room."""

    def part(self, frames: slice) -> Boxes:
        return Boxes(*(column[frames] for column in self))


class DeviceMerge:
    """`left_out` is told of candidates for which there was no room: more than `MOST` in a picture, 512 in a frame."""

    def __init__(self, card: ModelCard, device: torch.device, left_out: Callable[[int], None]) -> None:
        self._limits = limits(card)
        self._left_out = left_out
        self._at_once = _FRAMES_AT_ONCE
        self._device = device
        self._kind_of = torch.from_numpy(KIND_OF).to(device)

    def merged(self, found: Found, batch: FrameBatch) -> Detections:
        """One box for each vehicle. Waits for the device once."""
        packed = self._packed(found, batch).cpu().numpy()
        if lost := int(packed[:, 0, _MORE].sum()):
            self._left_out(lost)
        return _unpacked(packed, batch, self._limits)

    def shrink(self) -> bool:
        """Compare the boxes of half as many frames at a time from now on; False where it is one already."""
        if self._at_once == 1:
            return False
        self._at_once //= 2
        return True

    def _packed(self, found: Found, batch: FrameBatch) -> Tensor:
        """(F, M, `_COLUMNS`) f4 on the device: the boxes of every frame and what became of them."""
        boxes = self._by_frame(found, batch)
        frames = range(0, len(boxes.score), self._at_once)
        parts = [self._kept(boxes.part(slice(first, first + self._at_once))) for first in frames]
        kept, settled = (torch.cat(column) for column in zip(*parts, strict=True))
        shape = boxes.score.shape
        per_frame = (column[:, None].expand(shape) for column in (settled, boxes.more))
        numbers = (boxes.score, boxes.class_id, boxes.row, kept, *per_frame)
        return torch.cat([boxes.xyxy_px, torch.stack([column.float() for column in numbers], -1)], -1)

    def _by_frame(self, found: Found, batch: FrameBatch) -> Boxes:
        """Put together the rows of every frame; equal scores stay in the order of rows and anchors."""
        rows = torch.from_numpy(rows_of_frames(batch)).to(self._device)
        place = torch.from_numpy(places(batch)).to(self._device)
        xyxy_px = in_image(found.xyxy_model_px, place[:, None])
        none = (found.score == NONE) | doubtful(xyxy_px, place[:, None])
        missing = (rows < 0)[..., None]
        every = torch.where(none, NONE, found.score)[rows].masked_fill(missing, NONE).flatten(1)
        score, order = (column[:, :_MOST] for column in torch.sort(every, dim=1, descending=True, stable=True))
        more = (every > NONE).sum(1) - (score > NONE).sum(1)
        more = more + found.more[rows].masked_fill(missing[..., 0], 0).sum(1)
        picked = rows[:, :, None].expand(-1, -1, found.score.shape[1]).flatten(1).gather(1, order)
        slot = order % found.score.shape[1]
        return Boxes(xyxy_px[picked, slot], score, found.class_id[picked, slot], picked, more)

    def _kept(self, boxes: Boxes) -> tuple[Tensor, Tensor]:
        """(F, M) bool: boxes that show a vehicle of their own, and (F,) bool: whether that is final."""
        there = boxes.score > NONE
        strikes = _strikes(boxes, self._kind_of[boxes.class_id], self._limits).to(_number(boxes.score))
        kept = before = there
        for _ in range(_ROUNDS):
            before = kept
            kept = there & (torch.bmm(strikes, before[..., None].to(strikes.dtype))[..., 0] == 0)
        return kept, (kept == before).all(1)


def _number(score: Tensor) -> torch.dtype:
    """The type that a sum of at most `_MOST` ones is exact in and the device multiplies fastest."""
    return torch.float16 if score.is_cuda else torch.float32


def _strikes(boxes: Boxes, kind: Tensor, limit: SuppressionLimits) -> Tensor:
    """(F, M, M) bool: [f, b, a] says that the better box a shows the vehicle that b shows."""
    one, other = boxes.xyxy_px[:, :, None], boxes.xyxy_px[:, None]
    sides = torch.minimum(one[..., 2:], other[..., 2:]) - torch.maximum(one[..., :2], other[..., :2])
    shared = torch.where((sides > 0).all(-1), sides[..., 0] * sides[..., 1], 0.0).double()
    area = ((boxes.xyxy_px[..., 2] - boxes.xyxy_px[..., 0]) * (boxes.xyxy_px[..., 3] - boxes.xyxy_px[..., 1])).double()
    mine, theirs = area[:, :, None], area[:, None]
    apart = boxes.row[:, :, None] != boxes.row[:, None]
    same = (shared > limit.iou * (mine + theirs - shared)) | (apart & (shared > limit.ios * mine.minimum(theirs)))
    return (same & (kind[:, :, None] == kind[:, None])).tril(-1)


def rows_of_frames(batch: FrameBatch) -> Ints:
    """(F, R) i8: the rows of the batch that show each frame, ascending; -1 where a frame has fewer regions."""
    counts = np.bincount(batch.frame, minlength=len(batch.frames))
    rows = np.full((len(batch.frames), max(1, int(counts.max(initial=0)))), -1, np.int64)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    order = np.argsort(batch.frame, kind="stable")
    frame = batch.frame[order]
    rows[frame, np.arange(len(order)) - first[frame]] = order
    return rows


def _unpacked(packed: Floats32, batch: FrameBatch, limit: SuppressionLimits) -> Detections:
    """What the device kept; the host finishes where that was not final."""
    there = packed[..., _SCORE] > NONE
    frame = np.nonzero(there)[0].astype(np.int32)
    box = packed[there]
    keep = box[:, _KEPT] > 0
    if not packed[..., _SETTLED].all():
        keep = _suppressed(frame, box, limit)
    box = box[keep]
    class_id = box[:, _CLASS].astype(np.int32)
    return Detections(batch.frames, frame[keep], np.ascontiguousarray(box[:, _BOX]), box[:, _SCORE].copy(), class_id)


def _suppressed(frame: NDArray[np.int32], box: Floats32, limit: SuppressionLimits) -> NDArray[np.bool_]:
    keep = np.ones(len(box), np.bool_)
    kind = KIND_OF[box[:, _CLASS].astype(np.int32)]
    suppress(frame, box[:, _ROW].astype(np.int32), kind, np.ascontiguousarray(box[:, _BOX]), limit, keep)
    return keep
