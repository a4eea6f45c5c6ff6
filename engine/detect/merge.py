"""Merges the candidates of all regions into the boxes of each frame: one box per vehicle."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.detect.cards import ModelCard
from engine.detect.heads.candidates import Candidates
from engine.types import Detections, Floats32, FrameBatch, VehicleClass
from kernels.overlap import SuppressionLimits, suppress

_KIND = {
    VehicleClass.CAR: 0,
    VehicleClass.TRUCK: 0,
    VehicleClass.BUS: 0,
    VehicleClass.MOTORCYCLE: 1,
    VehicleClass.BICYCLE: 1,
    VehicleClass.PERSON: 2,
}
"""Groups of classes that detectors confuse: two boxes of one group on one vehicle are duplicates."""
KIND_OF = np.array([_KIND[vehicle] for vehicle in VehicleClass], np.int32)

_FILLING = 0.75
"""A box that covers a larger share of its region is not a vehicle but a typical artefact of single-shot detectors."""
_BORDER_MODEL_PX = 3.0
"""The border of the region cuts a box that ends within this distance."""
_ACROSS = 0.7
"""See `kernels.overlap.SuppressionLimits`. On footage of a street with parked cars, with the whole picture and
its middle as regions, it removes more than half of the duplicates and costs 1.5 points of recall; 0.6 costs 3."""


def merge_candidates(found: Candidates, batch: FrameBatch, card: ModelCard) -> Detections:
    """Convert the candidates to image pixels, remove implausible boxes, and keep the best box of each vehicle.

    Implausible are boxes that fill their region, and boxes at a border of their region inside the picture, because the
    vehicle continues beyond it. Another region shows it whole if regions overlap by the size of a vehicle, or if one is
    the whole picture.
    """
    order = np.lexsort((-found.score, batch.frame[found.row]))
    found = found.taken(order)
    place = region_table(batch)[found.row]
    xyxy_px = np.ascontiguousarray(to_image(found.xyxy_model_px, place), np.float32)
    frame = batch.frame[found.row]
    keep = ~is_implausible(xyxy_px, place)
    suppress(frame, found.row, KIND_OF[found.class_id], xyxy_px, overlap_limits(card), keep)
    return Detections(batch.frames, frame[keep], xyxy_px[keep], found.score[keep], found.class_id[keep])


def overlap_limits(card: ModelCard) -> SuppressionLimits:
    """The overlap from which two boxes are duplicates."""
    return SuppressionLimits(card.nms_iou, _ACROSS)


def region_table(batch: FrameBatch) -> Floats32:
    """(N, 6, 4) f4: facts about each region for `to_image` and `is_implausible`, each once per side of a box.

    Scale, offset, lowest corner, highest corner, the distance to each edge below which the edge cuts a box (-inf at the
    border of the picture), and the area above which a box fills the region.
    """
    scale, offset = np.split(batch.model_to_image, 2, axis=1)
    low, high = np.split(batch.region_xyxy_px, 2, axis=1)
    near, size = _BORDER_MODEL_PX * scale, batch.frames.size_px[batch.frame]
    within = np.concatenate([np.where(low > 0, near, -np.inf), np.where(high < size, near, -np.inf)], axis=1)
    filling = _FILLING * _area(batch.region_xyxy_px)[:, None]
    columns = (np.tile(scale, 2), np.tile(offset, 2), np.tile(low, 2), np.tile(high, 2), within, np.tile(filling, 4))
    return np.stack(columns, axis=1).astype(np.float32)


def to_image(xyxy_model_px: Any, place: Any) -> Any:
    """(..., 4): the boxes in image pixels, clipped to their regions. `place` (..., 6, 4) has rows of `region_table`.
    NumPy arrays or torch tensors."""
    return (xyxy_model_px * place[..., 0, :] + place[..., 1, :]).clip(place[..., 2, :], place[..., 3, :])


def is_implausible(xyxy_px: Any, place: Any) -> Any:
    """(...,) bool: True for boxes that fill their region, are empty, or are cut by its border inside the picture."""
    area = _area(xyxy_px)
    cut_low = (xyxy_px - place[..., 2, :] < place[..., 4, :])[..., :2]
    cut_high = (place[..., 3, :] - xyxy_px < place[..., 4, :])[..., 2:]
    return (area > place[..., 5, 0]) | (area <= 0) | cut_low.any(-1) | cut_high.any(-1)


def _area(xyxy: Any) -> Any:
    return (xyxy[..., 2] - xyxy[..., 0]) * (xyxy[..., 3] - xyxy[..., 1])
