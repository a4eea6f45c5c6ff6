"""`engine.detect.merge` on the device: the same boxes from the same candidates, with one copy to the host.

Non-maximum suppression: a better box that is kept itself removes its duplicates. Written as a fixed point, `keep =
exists and not any(better and duplicate and keep)`, the whole batch converges after as many rounds as the longest chain
of duplicates has boxes, which is few. The device always does `_ROUNDS`. If a chain is longer, the copy says so and the
host's kernel finishes the batch. torchvision's NMS does not fit: it has no separate limit across regions
(`kernels.overlap.SuppressionLimits`), and the host must wait for its number of boxes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.detect.cards import ModelCard
from engine.detect.heads.device import NO_BOX, DeviceCandidates
from engine.detect.merge import KIND_OF, is_implausible, overlap_limits, region_table, to_image
from engine.types import Detections, Floats32, FrameBatch, Ints
from kernels.overlap import SuppressionLimits, suppress

_ROUNDS = 8
_MOST = 512
"""Most candidates of one frame, over all its regions."""
_FRAMES_AT_ONCE = 16
"""Limits the memory that compares all pairs of boxes of a frame: 16 x 512 x 512 x 8 bytes per table."""
_COLUMNS = 10
_BOX, _SCORE, _CLASS, _ROW, _KEPT, _SETTLED, _OVERFLOW = slice(0, 4), 4, 5, 6, 7, 8, 9


class FrameBoxes(NamedTuple):
    """The candidates by frame, best first."""

    xyxy_px: Tensor
    """(F, M, 4) f4: left, top, right, bottom in image pixels."""
    score: Tensor
    """(F, M) f4; `NO_BOX` if there is no box."""
    class_id: Tensor
    """(F, M) i8: `VehicleClass`."""
    row: Tensor
    """(F, M) i8: row of the batch that contains the box."""
    overflow: Tensor
    """(F,) i8: number of omitted candidates."""

    def part(self, frames: slice) -> FrameBoxes:
        """The boxes of these frames."""
        return FrameBoxes(*(column[frames] for column in self))


class DeviceMerge:
    """Merges candidates on the device.

    `on_overflow` is called with the number of omitted candidates: those beyond `MAX_BOXES` of a picture or 512 of a
    frame.
    """

    def __init__(self, card: ModelCard, device: torch.device, on_overflow: Callable[[int], None]) -> None:
        self._limits = overlap_limits(card)
        self._on_overflow = on_overflow
        self._at_once = _FRAMES_AT_ONCE
        self._device = device
        self._kind_of = torch.from_numpy(KIND_OF).to(device)

    def merge(self, found: DeviceCandidates, batch: FrameBatch) -> Detections:
        """Keep one box per vehicle. Waits for the device once."""
        packed = self._pack(found, batch).cpu().numpy()
        if lost := int(packed[:, 0, _OVERFLOW].sum()):
            self._on_overflow(lost)
        return _unpack(packed, batch, self._limits)

    def shrink(self) -> bool:
        """From now on compare the boxes of half as many frames at a time. Returns False if it was one frame already."""
        if self._at_once == 1:
            return False
        self._at_once //= 2
        return True

    def _pack(self, found: DeviceCandidates, batch: FrameBatch) -> Tensor:
        """(F, M, `_COLUMNS`) f4 on the device: the boxes of each frame, and whether they are kept."""
        boxes = self._by_frame(found, batch)
        frames = range(0, len(boxes.score), self._at_once)
        parts = [self._suppress(boxes.part(slice(first, first + self._at_once))) for first in frames]
        kept, settled = (torch.cat(column) for column in zip(*parts, strict=True))
        shape = boxes.score.shape
        per_frame = (column[:, None].expand(shape) for column in (settled, boxes.overflow))
        numbers = (boxes.score, boxes.class_id, boxes.row, kept, *per_frame)
        return torch.cat([boxes.xyxy_px, torch.stack([column.float() for column in numbers], -1)], -1)

    def _by_frame(self, found: DeviceCandidates, batch: FrameBatch) -> FrameBoxes:
        """Join the rows of each frame. Equal scores stay in the order of rows and anchors."""
        rows = torch.from_numpy(rows_of_frames(batch)).to(self._device)
        place = torch.from_numpy(region_table(batch)).to(self._device)
        xyxy_px = to_image(found.xyxy_model_px, place[:, None])
        none = (found.score == NO_BOX) | is_implausible(xyxy_px, place[:, None])
        missing = (rows < 0)[..., None]
        every = torch.where(none, NO_BOX, found.score)[rows].masked_fill(missing, NO_BOX).flatten(1)
        score, order = (column[:, :_MOST] for column in torch.sort(every, dim=1, descending=True, stable=True))
        overflow = (every > NO_BOX).sum(1) - (score > NO_BOX).sum(1)
        overflow = overflow + found.overflow[rows].masked_fill(missing[..., 0], 0).sum(1)
        picked = rows[:, :, None].expand(-1, -1, found.score.shape[1]).flatten(1).gather(1, order)
        slot = order % found.score.shape[1]
        return FrameBoxes(xyxy_px[picked, slot], score, found.class_id[picked, slot], picked, overflow)

    def _suppress(self, boxes: FrameBoxes) -> tuple[Tensor, Tensor]:
        """(F, M) bool: True for kept boxes; (F,) bool: True if the result of the frame is final."""
        there = boxes.score > NO_BOX
        strikes = _duplicates(boxes, self._kind_of[boxes.class_id], self._limits).to(_number(boxes.score))
        kept = before = there
        for _ in range(_ROUNDS):
            before = kept
            kept = there & (torch.bmm(strikes, before[..., None].to(strikes.dtype))[..., 0] == 0)
        return kept, (kept == before).all(1)


def _number(score: Tensor) -> torch.dtype:
    """The type that the device multiplies fastest and in which a sum of up to `_MOST` ones is exact."""
    return torch.float16 if score.is_cuda else torch.float32


def _duplicates(boxes: FrameBoxes, kind: Tensor, limit: SuppressionLimits) -> Tensor:
    """(F, M, M) bool: [f, b, a] is True if the better box a shows the same vehicle as box b."""
    one, other = boxes.xyxy_px[:, :, None], boxes.xyxy_px[:, None]
    sides = torch.minimum(one[..., 2:], other[..., 2:]) - torch.maximum(one[..., :2], other[..., :2])
    shared = torch.where((sides > 0).all(-1), sides[..., 0] * sides[..., 1], 0.0).double()
    area = ((boxes.xyxy_px[..., 2] - boxes.xyxy_px[..., 0]) * (boxes.xyxy_px[..., 3] - boxes.xyxy_px[..., 1])).double()
    mine, theirs = area[:, :, None], area[:, None]
    apart = boxes.row[:, :, None] != boxes.row[:, None]
    same = (shared > limit.iou * (mine + theirs - shared)) | (apart & (shared > limit.ios * mine.minimum(theirs)))
    return (same & (kind[:, :, None] == kind[:, None])).tril(-1)


def rows_of_frames(batch: FrameBatch) -> Ints:
    """(F, R) i8: the rows of the batch of each frame, ascending; -1 if a frame has fewer than R regions."""
    counts = np.bincount(batch.frame, minlength=len(batch.frames))
    rows = np.full((len(batch.frames), max(1, int(counts.max(initial=0)))), -1, np.int64)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    order = np.argsort(batch.frame, kind="stable")
    frame = batch.frame[order]
    rows[frame, np.arange(len(order)) - first[frame]] = order
    return rows


def _unpack(packed: Floats32, batch: FrameBatch, limit: SuppressionLimits) -> Detections:
    """The boxes that the device kept. If its result is not final, the host computes it."""
    there = packed[..., _SCORE] > NO_BOX
    frame = np.nonzero(there)[0].astype(np.int32)
    box = packed[there]
    keep = box[:, _KEPT] > 0
    if not packed[..., _SETTLED].all():
        keep = _suppress_on_host(frame, box, limit)
    box = box[keep]
    class_id = box[:, _CLASS].astype(np.int32)
    return Detections(batch.frames, frame[keep], np.ascontiguousarray(box[:, _BOX]), box[:, _SCORE].copy(), class_id)


def _suppress_on_host(frame: NDArray[np.int32], box: Floats32, limit: SuppressionLimits) -> NDArray[np.bool_]:
    keep = np.ones(len(box), np.bool_)
    kind = KIND_OF[box[:, _CLASS].astype(np.int32)]
    suppress(frame, box[:, _ROW].astype(np.int32), kind, np.ascontiguousarray(box[:, _BOX]), limit, keep)
    return keep
