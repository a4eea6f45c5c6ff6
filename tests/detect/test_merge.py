"""One box per vehicle from all regions of a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.decode.settings import ModelInput
from engine.detect.cards import ModelCard
from engine.detect.heads import Candidates
from engine.detect.merge import merge_candidates
from engine.types import Detections, FrameBatch, VehicleClass
from tests.support import frames as support

CAR, TRUCK, PERSON, BICYCLE = VehicleClass.CAR, VehicleClass.TRUCK, VehicleClass.PERSON, VehicleClass.BICYCLE
CARD = ModelCard(
    name="x", file=Path("x"), sha256="", licence="", source="", head="ssd", classes={},
    input=ModelInput(name="x", width_px=100, height_px=100), nms_iou=0.5,
)  # fmt: skip
WHOLE = (0, 0, 200, 100)
LEFT = (0, 0, 120, 100)
RIGHT = (80, 0, 200, 100)


def make_batch(*regions: tuple[int, int, int, int], frames: int = 1) -> FrameBatch:
    """Frames of 200 x 100, each with these regions; one model pixel is one image pixel."""
    return support.make_batch(frames, regions, (200, 100), None, None)


def merge(batch: FrameBatch, *boxes: tuple[int, list[float], float, VehicleClass]) -> Detections:
    """Candidates given as (row, image box, score, class)."""
    row, xyxy, score, kind = zip(*boxes, strict=True) if boxes else ((), (), (), ())
    rows = np.array(row, np.int32)
    model_px = np.array(xyxy, np.float32).reshape(-1, 4) - np.tile(batch.model_to_image[rows, 2:], 2)
    found = Candidates(rows, model_px, np.array(score, np.float32), np.array(kind, np.int32))
    return merge_candidates(found, batch, CARD)


def test_boxes_are_in_image_pixels_ordered_by_frame_and_score() -> None:
    batch = make_batch(WHOLE, frames=2)
    found = merge(batch, (1, [10, 10, 30, 30], 0.6, CAR), (0, [1, 2, 9, 9], 0.5, CAR), (0, [50, 50, 60, 60], 0.9, CAR))
    assert found.frame.tolist() == [0, 0, 1]
    assert found.score.tolist() == np.array([0.9, 0.5, 0.6], np.float32).tolist()
    assert found.xyxy_px.tolist() == [[50, 50, 60, 60], [1, 2, 9, 9], [10, 10, 30, 30]]


def test_scale_and_padding_of_the_model_are_removed() -> None:
    batch = make_batch(WHOLE)
    batch.model_to_image[0] = [2, 4, -10, 5]
    found = Candidates(
        np.zeros(1, np.int32), np.array([[10, 2, 20, 9]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int32)
    )
    assert merge_candidates(found, batch, CARD).xyxy_px.tolist() == [[10, 13, 30, 41]]


def test_boxes_are_clipped_to_the_picture_and_removed_outside() -> None:
    found = merge(make_batch(WHOLE), (0, [-20, 40, 30, 140], 0.9, CAR), (0, [210, 10, 250, 30], 0.9, CAR))
    assert found.xyxy_px.tolist() == [[0, 40, 30, 100]]


def test_a_box_that_fills_the_picture_is_removed_and_suppresses_nothing() -> None:
    found = merge(make_batch(WHOLE), (0, [2, 2, 198, 99], 0.9, CAR), (0, [10, 5, 140, 95], 0.6, TRUCK))
    assert found.class_id.tolist() == [TRUCK]


def test_a_car_and_a_truck_on_one_vehicle_are_duplicates() -> None:
    found = merge(make_batch(WHOLE), (0, [10, 10, 50, 40], 0.6, CAR), (0, [11, 10, 52, 41], 0.7, TRUCK))
    assert found.class_id.tolist() == [TRUCK]


def test_rider_and_bicycle_are_not_duplicates() -> None:
    found = merge(make_batch(WHOLE), (0, [10, 10, 30, 60], 0.6, BICYCLE), (0, [10, 8, 30, 58], 0.7, PERSON))
    assert sorted(found.class_id.tolist()) == [BICYCLE, PERSON]


def test_boxes_of_different_frames_are_not_duplicates() -> None:
    batch = make_batch(WHOLE, frames=2)
    assert len(merge(batch, (0, [10, 10, 50, 40], 0.6, CAR), (1, [10, 10, 50, 40], 0.7, CAR))) == 2


def test_a_vehicle_in_two_regions_is_one_box() -> None:
    found = merge(make_batch(WHOLE, RIGHT), (0, [100, 20, 130, 50], 0.5, CAR), (1, [103, 22, 131, 49], 0.8, CAR))
    assert found.xyxy_px.tolist() == [[103, 22, 131, 49]]


def test_a_shifted_or_partial_box_in_another_region_is_a_duplicate() -> None:
    found = merge(make_batch(WHOLE, RIGHT), (0, [100, 20, 140, 60], 0.8, CAR), (1, [100, 20, 120, 40], 0.5, CAR))
    assert found.xyxy_px.tolist() == [[100, 20, 140, 60]]


def test_a_box_cut_by_an_inner_border_is_replaced_by_the_whole_one() -> None:
    batch = make_batch(LEFT, RIGHT)
    found = merge(batch, (0, [90, 20, 120, 60], 0.9, CAR), (1, [90, 20, 190, 60], 0.4, TRUCK))
    assert found.xyxy_px.tolist() == [[90, 20, 190, 60]]


def test_a_box_at_the_border_of_the_picture_stays() -> None:
    batch = make_batch(LEFT, RIGHT)
    found = merge(batch, (0, [0, 20, 30, 60], 0.9, CAR), (1, [150, 60, 200, 100], 0.8, CAR))
    assert len(found) == 2


def test_frames_without_a_box_are_in_the_result() -> None:
    found = merge(make_batch(WHOLE, frames=3))
    assert len(found.frames) == 3
    assert len(found) == 0
    assert found.xyxy_px.shape == (0, 4)
    assert found.xyxy_px.dtype == np.float32
