"""The overlap kernels equal their twins and give known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import overlap as kernel
from kernels.overlap import SuppressionLimits
from kernels.reference import overlap as twin
from tests.kernels.compare import compare

LIMITS = SuppressionLimits(0.5, 0.7)


def make_boxes(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    corner = random.uniform(0, 60, (count, 2))
    return np.concatenate([corner, corner + random.uniform(5, 50, (count, 2))], axis=1).astype(np.float32)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (1, 1), (1, 0), (40, 30)])
def test_iou_equals_twin(n: int, m: int) -> None:
    out = np.full((n, m), -1, np.float32)
    compare(kernel.iou, twin.iou, make_boxes(n), make_boxes(m, seed=1), out, rtol=1e-6)


def test_iou_of_known_boxes() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [2, 2, 4, 4]], np.float32)
    got = np.empty((1, 4), np.float32)
    kernel.iou(boxes[:1], boxes, got)
    np.testing.assert_allclose(got, [[1, 1 / 3, 0, 0.04]], rtol=1e-6)


@pytest.mark.parametrize("column", range(4))
def test_a_box_with_a_nan_overlaps_nothing(column: int) -> None:
    boxes = make_boxes(20)
    boxes[3, column] = np.nan
    *_, found = compare(kernel.iou, twin.iou, boxes, boxes, np.ones((20, 20), np.float32), rtol=1e-6)
    assert not found[3].any()
    assert not found[:, 3].any()


def suppress(frame, region, category, xyxy, keep) -> np.ndarray:
    """The kernel's answer, checked against the twin's."""
    columns = [np.asarray(c, np.int32) for c in (frame, region, category)]
    arguments = (*columns, np.asarray(xyxy, np.float32), LIMITS, np.array(keep, np.bool_))
    return compare(kernel.suppress, twin.suppress, *arguments)[-1]


@given(st.integers(0, 80), st.integers(0, 10_000))
@settings(max_examples=60)
def test_suppression_equals_twin(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    boxes = make_boxes(count, seed)
    boxes[random.uniform(size=count) < 0.03, 1] = np.nan
    frame, region, category = np.sort(random.integers(0, 3, count)), *random.integers(0, 2, (2, count))
    suppress(frame, region, category, boxes, random.uniform(size=count) < 0.9)


BOX = [0, 0, 10, 10]
NEAR = [0, 0, 10, 8]
SMALL_INSIDE = [0, 0, 5, 5]


def test_the_better_of_two_boxes_on_a_vehicle_stays() -> None:
    assert suppress([0, 0], [0, 0], [0, 0], [BOX, NEAR], [1, 1]).tolist() == [True, False]


def test_boxes_of_different_frames_or_categories_do_not_suppress_each_other() -> None:
    assert suppress([0, 1], [0, 0], [0, 0], [BOX, NEAR], [1, 1]).all()
    assert suppress([0, 0], [0, 0], [0, 2], [BOX, NEAR], [1, 1]).all()


def test_a_box_dropped_before_suppresses_no_other() -> None:
    assert suppress([0, 0], [0, 0], [0, 0], [BOX, NEAR], [0, 1]).tolist() == [False, True]


def test_a_box_on_a_part_of_a_vehicle_is_dropped_only_if_from_another_region() -> None:
    assert suppress([0, 0], [0, 0], [0, 0], [BOX, SMALL_INSIDE], [1, 1]).all()
    assert suppress([0, 0], [0, 1], [0, 0], [BOX, SMALL_INSIDE], [1, 1]).tolist() == [True, False]


@pytest.mark.parametrize("n", [0, 1, 120])
def test_occluded_share_equals_its_twin(n: int) -> None:
    rng = np.random.default_rng(n)
    corner, size = rng.uniform(0, 300, (n, 2)), rng.uniform(5, 120, (n, 2))
    boxes = np.column_stack([corner, corner + size]).astype(np.float32)
    frame = np.sort(rng.integers(0, 6, n)).astype(np.int32)
    compare(kernel.occluded_share, twin.occluded_share, frame, boxes, np.zeros(n), rtol=1e-6)


def test_only_a_nearer_box_occludes() -> None:
    share = np.zeros(2)
    kernel.occluded_share(np.zeros(2, np.int32), np.array([[0, 0, 10, 10], [5, 0, 15, 12]], np.float32), share)
    assert share.tolist() == [0.5, 0.0]
