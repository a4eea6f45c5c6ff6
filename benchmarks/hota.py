"""HOTA of tracking results (Luiten et al., IJCV 2021) on the car sequences of KITTI.

Car and Van with occlusion 0 or 1 are scored. All other annotated boxes are ignored: in each frame, all annotated boxes
are matched to the results (largest sum of IoU, IoU >= 0.5), and a result on an ignored box is removed with the box.
DetA, AssA and HOTA are means over the IoU thresholds 0.05 ... 0.95. Counts of several sequences are summed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmarks.mot import TrackingResult

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SCORED = ("Car", "Van")
MAX_OCCLUSION = 1
IGNORE_IOU = 0.5
THRESHOLDS = np.arange(1, 20) * 0.05
TINY = 1e-12


@dataclass(frozen=True, slots=True)
class MarkedBoxes:
    """The annotated boxes of a sequence."""

    frame: Ints
    """(G,) i8: from 0."""
    identity: Ints
    """(G,) i8"""
    xyxy_px: Floats
    """(G, 4) f8"""
    scored: NDArray[np.bool_]
    """(G,) False for an ignored box."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts by IoU threshold, each (19,) f8. They are summed over sequences."""

    hits: Floats
    misses: Floats
    alarms: Floats
    association: Floats
    """Association score summed over the hits."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.hits + other.hits,
            self.misses + other.misses,
            self.alarms + other.alarms,
            self.association + other.association,
        )

    def summary(self) -> dict[str, float]:
        """HOTA, DetA and AssA in per cent."""
        detection = self.hits / np.maximum(1, self.hits + self.misses + self.alarms)
        association = self.association / np.maximum(TINY, self.hits)
        values = {"HOTA": np.sqrt(detection * association), "DetA": detection, "AssA": association}
        return {name: round(100 * float(value.mean()), 3) for name, value in values.items()}


def read_truth(file: Path) -> MarkedBoxes:
    """Read a file of lines `frame, id, x, y, w, h, flag, class, occlusion`."""
    rows = [line.split(",") for line in file.read_text().splitlines() if line.strip()]
    box = np.array([row[2:6] for row in rows], np.float64).reshape(-1, 4)
    return MarkedBoxes(
        np.array([int(row[0]) - 1 for row in rows], np.int64),
        np.array([int(row[1]) for row in rows], np.int64),
        np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1),
        np.array([row[7] in SCORED and int(row[8]) <= MAX_OCCLUSION for row in rows], np.bool_),
    )


def overlaps(one: Floats, other: Floats) -> Floats:
    """(A, B) intersection over union of (A, 4) and (B, 4) boxes."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    area = (one[:, 2:] - one[:, :2]).prod(axis=-1)[:, None] + (other[:, 2:] - other[:, :2]).prod(axis=-1)
    return np.asarray(shared / np.maximum(area - shared, TINY))


@dataclass(frozen=True, slots=True)
class _Frame:
    true: Ints
    found: Ints
    iou: Floats


def count(truth: MarkedBoxes, result: TrackingResult) -> Counts:
    """The counts of one sequence."""
    _, true = np.unique(truth.identity, return_inverse=True)
    _, found = np.unique(result.identity, return_inverse=True)
    frames = [_frame(truth, true, result, found, at) for at in np.union1d(truth.frame, result.frame)]
    shape = (int(true.max(initial=-1)) + 1, int(found.max(initial=-1)) + 1)
    alignment, true_count, found_count = _alignment(frames, shape)
    hits, pairs = np.zeros(len(THRESHOLDS)), np.zeros((len(THRESHOLDS), *shape))
    for frame in frames:
        rows, columns = linear_sum_assignment(-alignment[np.ix_(frame.true, frame.found)] * frame.iou)
        close = frame.iou[rows, columns] >= THRESHOLDS[:, None] - TINY
        hits += close.sum(axis=1)
        pairs[:, frame.true[rows], frame.found[columns]] += close
    union = np.maximum(1, true_count[:, None] + found_count - pairs)
    association = (pairs * pairs / union).sum(axis=(1, 2))
    return Counts(hits, true_count.sum() - hits, found_count.sum() - hits, association)


def _frame(truth: MarkedBoxes, true: NDArray[Any], result: TrackingResult, found: NDArray[Any], at: int) -> _Frame:
    """One frame without the ignored boxes and the results on them."""
    annotated, tracked = np.flatnonzero(truth.frame == at), np.flatnonzero(result.frame == at)
    iou = overlaps(truth.xyxy_px[annotated], result.xyxy_px[tracked])
    close = np.where(iou >= IGNORE_IOU - TINY, iou, 0)
    rows, columns = linear_sum_assignment(-close)
    on_ignored = (close[rows, columns] > 0) & ~truth.scored[annotated[rows]]
    kept = np.delete(np.arange(len(tracked)), columns[on_ignored])
    scored = truth.scored[annotated]
    return _Frame(true[annotated[scored]], found[tracked[kept]], iou[scored][:, kept])


def _alignment(frames: list[_Frame], shape: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
    """Alignment score of each pair of identities over the whole sequence, and the number of frames of each identity."""
    potential, true_count, found_count = np.zeros(shape), np.zeros(shape[0]), np.zeros(shape[1])
    for frame in frames:
        union = frame.iou.sum(axis=0) + frame.iou.sum(axis=1)[:, None] - frame.iou
        potential[np.ix_(frame.true, frame.found)] += frame.iou / np.maximum(union, TINY)
        true_count[frame.true] += 1
        found_count[frame.found] += 1
    return potential / np.maximum(true_count[:, None] + found_count - potential, TINY), true_count, found_count
