"""The accuracy check of plans."""

from __future__ import annotations

import dataclasses

import numpy as np

from engine.detect.agreement import BOUNDS, MIN_BOXES, Agreement, AgreementBounds, compare_detections
from engine.detect.cards import find_card
from engine.types import Detections, VehicleClass
from tests.support.frames import make_frames

CARD = find_card("ssd_mobilenet_v3_large")
BOUNDS_HERE = AgreementBounds(share=0.95, iou=0.9, score=0.05)
SURE = CARD.score_threshold + 0.1


def boxes(count: int, *, score: float = SURE, frames: int = 5) -> Detections:
    """Cars that do not overlap, spread over a few frames."""
    left = 100.0 * np.arange(count)[:, None]
    return Detections(
        make_frames(np.arange(frames, dtype=float), (9999, 9999)),
        np.sort(np.arange(count, dtype=np.int32) % frames),
        (left + np.array([0.0, 0.0, 80.0, 60.0])).astype(np.float32),
        np.full(count, score, np.float32),
        np.full(count, VehicleClass.CAR, np.int32),
    )


def first(count: int, of: Detections) -> Detections:
    return Detections(of.frames, of.frame[:count], of.xyxy_px[:count], of.score[:count], of.class_id[:count])


def problems(reference: Detections, plan: Detections) -> list[str]:
    return compare_detections(reference, plan, CARD, BOUNDS_HERE).problems(BOUNDS_HERE)


def test_equal_boxes_and_small_differences_pass() -> None:
    reference = boxes(40)
    assert problems(reference, reference) == []
    near = dataclasses.replace(reference, xyxy_px=reference.xyxy_px + 1, score=reference.score - np.float32(0.04))
    assert problems(reference, near) == []
    other_name = dataclasses.replace(reference, class_id=np.full(40, VehicleClass.TRUCK, np.int32))
    assert problems(reference, other_name) == []


def test_lost_and_new_boxes_are_refused() -> None:
    all_of_them = boxes(40)
    assert problems(all_of_them, first(37, all_of_them)) == ["3 of 40 boxes are lost, at most 5.0% are allowed"]
    assert problems(first(37, all_of_them), all_of_them) == ["3 of 40 boxes are new, at most 5.0% are allowed"]
    assert problems(all_of_them, first(38, all_of_them)) == []


def test_another_place_score_kind_or_frame_is_another_box() -> None:
    reference = boxes(40)
    for changes in (
        {"xyxy_px": reference.xyxy_px + 10},
        {"score": reference.score + np.float32(0.2)},
        {"class_id": np.full(40, VehicleClass.PERSON, np.int32)},
        {"frame": reference.frame[::-1].copy()},
    ):
        assert problems(reference, dataclasses.replace(reference, **changes))


def test_boxes_near_the_threshold_have_no_influence() -> None:
    reference, faint = boxes(60), boxes(60)
    faint.score[40:] = CARD.score_threshold + 0.01
    reference.score[40:] = CARD.score_threshold + 0.01
    assert compare_detections(reference, first(40, faint), CARD, BOUNDS_HERE) == Agreement(40, 40, 40, 40, 0.0)


def test_too_few_boxes_are_not_accepted() -> None:
    few = boxes(MIN_BOXES - 1)
    assert problems(few, few) == [
        f"the reference frames show {MIN_BOXES - 1} vehicles, at least {MIN_BOXES} are required"
    ]
    assert Agreement().problems(BOUNDS_HERE)


def test_results_of_frames_are_added() -> None:
    one = compare_detections(boxes(20), first(19, boxes(20)), CARD, BOUNDS_HERE)
    assert one + one == Agreement(40, 38, 38, 38, 0.0)


def test_lower_precision_has_wider_bounds() -> None:
    for finer, coarser in (("fp32", "fp16"), ("fp16", "int8")):
        assert all(a >= b for a, b in zip(BOUNDS[finer][:2], BOUNDS[coarser][:2], strict=True))
        assert BOUNDS[finer].score < BOUNDS[coarser].score
