"""From the candidates of every region to the boxes of every frame: one box a vehicle."""

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
"""Classes that are taken for one another: two boxes on one vehicle are one vehicle, whatever they call it."""
KIND_OF = np.array([_KIND[vehicle] for vehicle in VehicleClass], np.int32)

_FILLING = 0.75
"""A box that covers more of its region is no vehicle but a habit of the network (single-shot detectors have it)."""
_BORDER_MODEL_PX = 3.0
"""A box that ends this near to its region's border is cut by it."""
_ACROSS = 0.7
"""See `SuppressionLimits`. On footage of a street with a row of parked cars, seen as a whole and in its middle, it
more than halves the double boxes and costs 1.5 points of recall; 0.6 costs 3."""


def merged(found: Candidates, batch: FrameBatch, card: ModelCard) -> Detections:
    """Put the candidates into image pixels, throw out what no vehicle can be, and leave one box for each vehicle.

    Thrown out: boxes that fill their region; boxes that end where their region ends within the picture, because the
    vehicle goes on there (another region shows it whole if regions overlap by a vehicle's size, or one is the whole
    picture); and of the boxes that show one vehicle all but the best.
    """
    order = np.lexsort((-found.score, batch.frame[found.row]))
    found = found.taken(order)
    place = places(batch)[found.row]
    xyxy_px = np.ascontiguousarray(in_image(found.xyxy_model_px, place), np.float32)
    frame = batch.frame[found.row]
    keep = ~doubtful(xyxy_px, place)
    suppress(frame, found.row, KIND_OF[found.class_id], xyxy_px, limits(card), keep)
    return Detections(batch.frames, frame[keep], xyxy_px[keep], found.score[keep], found.class_id[keep])


def limits(card: ModelCard) -> SuppressionLimits:
    """How far two boxes may overlap before they are taken for one vehicle."""
    return SuppressionLimits(card.nms_iou, _ACROSS)


def places(batch: FrameBatch) -> Floats32:
    """(N, 6, 4): what `in_image` and `doubtful` must know of the region that a box was found in.

    Scale, offset, lowest and highest corner, the distance to each edge below which a box is cut by it (none at the
    border of the picture), and the area above which it fills the region; each once for every side of a box.
    """
    scale, offset = np.split(batch.model_to_image, 2, axis=1)
    low, high = np.split(batch.region_xyxy_px, 2, axis=1)
    near, size = _BORDER_MODEL_PX * scale, batch.frames.size_px[batch.frame]
    within = np.concatenate([np.where(low > 0, near, -np.inf), np.where(high < size, near, -np.inf)], axis=1)
    filling = _FILLING * _area(batch.region_xyxy_px)[:, None]
    columns = (np.tile(scale, 2), np.tile(offset, 2), np.tile(low, 2), np.tile(high, 2), within, np.tile(filling, 4))
    return np.stack(columns, axis=1).astype(np.float32)


def in_image(xyxy_model_px: Any, place: Any) -> Any:
    """(..., 4): the boxes in image pixels, clipped to their regions. NumPy arrays or torch tensors, as `place` is."""
    return (xyxy_model_px * place[..., 0, :] + place[..., 1, :]).clip(place[..., 2, :], place[..., 3, :])


def doubtful(xyxy_px: Any, place: Any) -> Any:
    """(...,): boxes that fill their region, that clipping to it left empty, or that it cuts within the picture."""
    area = _area(xyxy_px)
    cut_low = (xyxy_px - place[..., 2, :] < place[..., 4, :])[..., :2]
    cut_high = (place[..., 3, :] - xyxy_px < place[..., 4, :])[..., 2:]
    return (area > place[..., 5, 0]) | (area <= 0) | cut_low.any(-1) | cut_high.any(-1)


def _area(xyxy: Any) -> Any:
    return (xyxy[..., 2] - xyxy[..., 0]) * (xyxy[..., 3] - xyxy[..., 1])
