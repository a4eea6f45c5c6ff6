"""HOTA of tracking results (Luiten et al., IJCV 2021) on the car sequences of KITTI.

Car and Van with occlusion 0 or 1 are scored. Everything else that is marked is ignored: per frame all marked boxes are
matched to the results (largest sum of IoU, IoU >= 0.5), and results that fell on an ignored box are left out with it.
DetA, AssA and HOTA are means over the IoU thresholds 0.05 ... 0.95; sequences are pooled by their counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmarks.mot import Result

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SCORED = ("Car", "Van")
MAX_OCCLUSION = 1
IGNORE_IOU = 0.5
THRESHOLDS = np.arange(1, 20) * 0.05
TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Truth:
    """The marked boxes of a sequence."""

    frame: Ints
    """(G,) i8: from 0."""
    identity: Ints
    xyxy_px: Floats
    scored: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Counts:
    """What is summed over sequences; each (19,) f8, by threshold."""

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


def read_truth(file: Path) -> Truth:
    """frame, id, x, y, w, h, flag, class, occlusion."""
    rows = [line.split(",") for line in file.read_text().splitlines() if line.strip()]
    box = np.array([row[2:6] for row in rows], np.float64).reshape(-1, 4)
    return Truth(
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


def count(truth: Truth, result: Result) -> Counts:
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


def _frame(truth: Truth, true: NDArray[Any], result: Result, found: NDArray[Any], at: int) -> _Frame:
    """One frame without what is ignored."""
    marked, told = np.flatnonzero(truth.frame == at), np.flatnonzero(result.frame == at)
    iou = overlaps(truth.xyxy_px[marked], result.xyxy_px[told])
    close = np.where(iou >= IGNORE_IOU - TINY, iou, 0)
    rows, columns = linear_sum_assignment(-close)
    on_ignored = (close[rows, columns] > 0) & ~truth.scored[marked[rows]]
    kept = np.delete(np.arange(len(told)), columns[on_ignored])
    scored = truth.scored[marked]
    return _Frame(true[marked[scored]], found[told[kept]], iou[scored][:, kept])


def _alignment(frames: list[_Frame], shape: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
    """How well every pair of identities could fit over the whole sequence, and how often each occurs."""
    potential, true_count, found_count = np.zeros(shape), np.zeros(shape[0]), np.zeros(shape[1])
    for frame in frames:
        union = frame.iou.sum(axis=0) + frame.iou.sum(axis=1)[:, None] - frame.iou
        potential[np.ix_(frame.true, frame.found)] += frame.iou / np.maximum(union, TINY)
        true_count[frame.true] += 1
        found_count[frame.found] += 1
    return potential / np.maximum(true_count[:, None] + found_count - potential, TINY), true_count, found_count
