"""Overlap of boxes written plainly."""

from __future__ import annotations

import numpy as np

from kernels.overlap import Flags, Floats32, Ints32, Limits


def iou(first: Floats32, second: Floats32, out: Floats32) -> None:
    """Twin of `kernels.overlap.iou`."""
    shared = _intersections(first, second)
    union = _areas(first)[:, None] + _areas(second)[None] - shared
    out[:] = np.where(shared > 0, shared / np.where(shared > 0, union, 1), 0)


def suppress(frame: Ints32, row: Ints32, kind: Ints32, xyxy: Floats32, limits: Limits, keep: Flags) -> None:
    """Twin of `kernels.overlap.suppress`."""
    shared, areas = _intersections(xyxy, xyxy), _areas(xyxy)
    smaller = np.minimum(areas[:, None], areas[None])
    same = shared > limits.iou * (areas[:, None] + areas[None] - shared)
    same |= (row[:, None] != row[None]) & (shared > limits.across * smaller)
    same &= (frame[:, None] == frame[None]) & (kind[:, None] == kind[None])
    for box in range(len(frame)):
        keep[box] &= not (same[box, :box] & keep[:box]).any()


def _areas(xyxy: Floats32) -> Floats32:
    areas: Floats32 = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    return areas


def _intersections(first: Floats32, second: Floats32) -> Floats32:
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    side = np.where(high > low, high - low, 0)
    shared: Floats32 = side[..., 0] * side[..., 1]
    return shared
