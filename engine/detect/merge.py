"""From the candidates of every region to the boxes of every frame: one box a vehicle."""

from __future__ import annotations

import numpy as np

from engine.cards import ModelCard
from engine.detect.heads.candidates import Candidates
from engine.types import Detections, Flags, Floats32, FrameBatch, Ints32, VehicleClass
from kernels.overlap import Limits, suppress

_KIND = {
    VehicleClass.CAR: 0,
    VehicleClass.TRUCK: 0,
    VehicleClass.BUS: 0,
    VehicleClass.MOTORCYCLE: 1,
    VehicleClass.BICYCLE: 1,
    VehicleClass.PERSON: 2,
}
"""Classes that are taken for one another: two boxes on one vehicle are one vehicle, whatever they call it."""
_KIND_OF = np.array([_KIND[vehicle] for vehicle in VehicleClass], np.int32)

_FILLING = 0.75
"""A box that covers more of its region is no vehicle but a habit of the network (single-shot detectors have it)."""
_BORDER_MODEL_PX = 3.0
"""A box that ends this near to its region's border is cut by it."""
_ACROSS = 0.7
"""See `kernels.overlap.Limits`. On footage of a street with a row of parked cars, seen as a whole and in its middle, it
more than halves the double boxes and costs 1.5 points of recall; 0.6 costs 3."""


def merged(found: Candidates, batch: FrameBatch, card: ModelCard) -> Detections:
    """Put the candidates into image pixels, throw out what no vehicle can be, and leave one box for each vehicle.

    Thrown out: boxes that fill their region; boxes that end where their region ends within the picture, because the
    vehicle goes on there (another region shows it whole if regions overlap by a vehicle's size, or one is the whole
    picture); and of the boxes that show one vehicle all but the best.
    """
    order = np.lexsort((-found.score, batch.frame[found.row]))
    found = found.taken(order)
    xyxy_px = _in_image(found, batch)
    frame, kind = batch.frame[found.row], _KIND_OF[found.class_id]
    keep = ~(_fills(xyxy_px, batch.region_xyxy_px[found.row]) | _cut(xyxy_px, found.row, batch))
    suppress(frame, found.row, kind, xyxy_px, Limits(card.nms_iou, _ACROSS), keep)
    return Detections(batch.frames, frame[keep], xyxy_px[keep], found.score[keep], found.class_id[keep])


def _in_image(found: Candidates, batch: FrameBatch) -> Floats32:
    """(K, 4): the boxes in image pixels, clipped to their regions."""
    scale, offset = np.split(batch.model_to_image[found.row], 2, axis=1)
    xyxy_px = found.xyxy_model_px * np.tile(scale, 2) + np.tile(offset, 2)
    region = batch.region_xyxy_px[found.row]
    low, high = np.tile(region[:, :2], 2), np.tile(region[:, 2:], 2)
    return np.ascontiguousarray(xyxy_px.clip(low, high), np.float32)


def _fills(xyxy_px: Floats32, region_xyxy_px: Floats32) -> Flags:
    """(K,): boxes that fill their region, and those that clipping to it left empty."""
    areas = _area(xyxy_px)
    return (areas > _FILLING * _area(region_xyxy_px)) | (areas <= 0)


def _area(xyxy: Floats32) -> Floats32:
    area: Floats32 = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    return area


def _cut(xyxy_px: Floats32, row: Ints32, batch: FrameBatch) -> Flags:
    """(K,): whether the box ends at a border of its region that is no border of the picture."""
    region, size = batch.region_xyxy_px[row], batch.frames.size_px[batch.frame[row]]
    near = _BORDER_MODEL_PX * batch.model_to_image[row, :2]
    cut_low = (xyxy_px[:, :2] - region[:, :2] < near) & (region[:, :2] > 0)
    cut_high = (region[:, 2:] - xyxy_px[:, 2:] < near) & (region[:, 2:] < size)
    cut: Flags = np.any(cut_low | cut_high, axis=1)
    return cut
