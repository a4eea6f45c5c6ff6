"""Twin of `kernels.overlap`: every pair of boxes at once."""

from __future__ import annotations

import numpy as np

from kernels import Flags, Floats, Floats32, Ints32
from kernels.overlap import SuppressionLimits


def iou(first: Floats32, second: Floats32, out: Floats32) -> None:
    """Twin of `kernels.overlap.iou`."""
    shared = _intersections(first, second)
    union = _areas(first)[:, None] + _areas(second)[None] - shared
    out[:] = np.where(shared > 0, shared / np.where(shared > 0, union, 1), 0)


def suppress(
    frame: Ints32, region: Ints32, category: Ints32, xyxy: Floats32, limits: SuppressionLimits, keep: Flags
) -> None:
    """Twin of `kernels.overlap.suppress`."""
    shared, areas = _intersections(xyxy, xyxy), _areas(xyxy)
    smaller = np.minimum(areas[:, None], areas[None])
    same = shared > limits.iou * (areas[:, None] + areas[None] - shared)
    same |= (region[:, None] != region[None]) & (shared > limits.ios * smaller)
    same &= (frame[:, None] == frame[None]) & (category[:, None] == category[None])
    for box in range(len(frame)):
        keep[box] &= not (same[box, :box] & keep[:box]).any()


def occluded_share(frame: Ints32, xyxy_px: Floats32, out: Floats) -> None:
    """Twin of `kernels.overlap.occluded_share`."""
    order, bottom = np.arange(len(frame)), xyxy_px[:, 3]
    nearer = bottom[None] > bottom[:, None]
    nearer |= (bottom[None] == bottom[:, None]) & (order[None] > order[:, None])
    shared = np.where(nearer & (frame[:, None] == frame[None]), _intersections(xyxy_px, xyxy_px), 0.0)
    out[:] = shared.max(axis=1, initial=0.0) / _areas(xyxy_px)


def _areas(xyxy: Floats32) -> Floats32:
    areas: Floats32 = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    return areas


def _intersections(first: Floats32, second: Floats32) -> Floats32:
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    side = np.where(high > low, high - low, 0)
    shared: Floats32 = side[..., 0] * side[..., 1]
    return shared
