"""All heads on outputs with known boxes, and on outputs that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.decode.settings import ModelInput
from engine.detect.cards import ModelCard
from engine.detect.heads import Candidates, make_reader
from engine.errors import ModelError
from engine.types import VehicleClass
from tests.support.networks import COCO

NO_LOGIT = -20.0


def make_card(head: str, **changes: object) -> ModelCard:
    settings: dict[str, object] = {
        "name": "small", "file": Path("none.onnx"), "sha256": "", "licence": "", "source": "", "head": head,
        "classes": dict(COCO), "low_score_threshold": 0.3, "input": ModelInput(name="x", width_px=64, height_px=32),
    }  # fmt: skip
    return ModelCard(**(settings | changes))  # type: ignore[arg-type]


def check(
    found: Candidates, row: list[int], xyxy: list[list[float]], score: list[float], classes: list[VehicleClass]
) -> None:
    assert found.row.tolist() == row
    np.testing.assert_allclose(found.xyxy_model_px, np.reshape(xyxy, (-1, 4)), atol=1e-3)
    np.testing.assert_allclose(found.score, score, atol=1e-5)
    assert found.class_id.tolist() == classes
    assert [c.dtype.str for c in found] == ["<i4", "<f4", "<f4", "<i4"]


# -- SSD


@pytest.fixture
def ssd(tmp_path: Path) -> ModelCard:
    anchors = np.array([[0.5, 0.25, 0.5, 0.25], [0.5, 0.5, 1.0, 1.0], [0.1, 0.1, 0.2, 0.2]], np.float32)
    np.save(tmp_path / "anchors.npy", anchors)
    return make_card("ssd", file=tmp_path / "x.onnx", head_options={"anchors": "anchors.npy"})


def test_ssd_moves_and_scales_its_anchors(ssd: ModelCard) -> None:
    encodings, scores = np.zeros((2, 3, 4), np.float32), np.zeros((2, 3, 10), np.float32)
    scores[0, 0, 2] = 0.9
    scores[1, 1, [2, 7]] = [0.4, 0.6]
    encodings[1, 1] = [2.5, -1.0, 5 * np.log(0.5), 5 * np.log(0.25)]
    found = make_reader(ssd).read({"boxes": encodings, "scores": scores})
    boxes = [[8, 8, 24, 24], [64 * (0.4 - 0.125), 32 * 0.5, 64 * (0.4 + 0.125), 32]]
    check(found, [0, 1], boxes, [0.9, 0.6], [VehicleClass.CAR, VehicleClass.TRUCK])


def test_ssd_names_the_missing_file_of_anchors(ssd: ModelCard) -> None:
    with pytest.raises(ModelError, match=r"small: anchors .*none\.npy"):
        make_reader(make_card("ssd", head_options={"anchors": "none.npy"}))


def test_ssd_refuses_anchors_of_another_network(ssd: ModelCard) -> None:
    with pytest.raises(ModelError, match=r"small: 0 outputs fit as box encodings \(None, 3, 4\)"):
        make_reader(ssd).read({"boxes": np.zeros((1, 9, 4)), "scores": np.zeros((1, 9, 10))})


# -- YOLOX


def test_yolox_reads_offsets_in_cells_and_logarithms_of_sizes() -> None:
    raw = np.zeros((1, 8 * 4 + 4 * 2 + 2 * 1, 5 + 80), np.float32)
    raw[0, 8 + 3, :5] = [0.5, 0.25, np.log(2), np.log(1.5), 0.8]  # second row, fourth column of stride 8
    raw[0, 8 + 3, 5 + 2] = 0.75
    raw[0, 41, :5] = [0, 0, 0, 0, 1]  # second cell of stride 32
    raw[0, 41, 5 + 5] = 1
    raw[0, 40, [4, 5 + 60]] = 1  # a dining table
    found = make_reader(make_card("yolox")).read({"output": raw})
    check(found, [0, 0], [[20, 4, 36, 16], [16, -16, 48, 16]], [0.6, 1.0], [VehicleClass.CAR, VehicleClass.BUS])


def test_yolox_refuses_another_number_of_cells() -> None:
    with pytest.raises(ModelError, match="small: 0 outputs fit as predictions"):
        make_reader(make_card("yolox")).read({"output": np.zeros((1, 8400, 85))})


def test_invalid_strides_are_refused() -> None:
    with pytest.raises(ModelError, match="strides"):
        make_reader(make_card("yolox", head_options={"strides": "8 sixteen"}))
    with pytest.raises(ModelError, match="strides"):
        make_reader(make_card("yolox", head_options={"strides": "0"}))


# -- PicoDet


def picodet_outputs() -> dict[str, np.ndarray]:
    cells = {8: 32, 16: 8, 32: 2, 64: 1}
    scores = {f"s{s}": np.zeros((1, n, 80), np.float32) for s, n in cells.items()}
    return scores | {f"d{s}": np.zeros((1, n, 32), np.float32) for s, n in cells.items()}


def test_picodet_takes_the_mean_of_every_edges_distribution() -> None:
    outputs = picodet_outputs()
    outputs["s8"][0, 8 + 1, 3] = 0.7  # second row, second column
    edges = np.full((4, 8), NO_LOGIT)
    edges[[0, 1], [1, 0]] = 0  # left 1 cell, top 0
    edges[2, [1, 2]] = 0  # right 1.5
    edges[3, 7] = 0  # bottom 7
    outputs["d8"][0, 9] = edges.ravel()
    found = make_reader(make_card("picodet")).read(outputs)
    check(found, [0], [[12 - 8, 12, 12 + 12, 12 + 56]], [0.7], [VehicleClass.MOTORCYCLE])


def test_picodet_refuses_outputs_without_a_stride() -> None:
    outputs = picodet_outputs()
    del outputs["d64"]
    with pytest.raises(ModelError, match=r"small: 0 outputs fit as distributions \(None, 1, 32\)"):
        make_reader(make_card("picodet")).read(outputs)
    with pytest.raises(ModelError, match="expected scores and distributions"):
        make_reader(make_card("picodet")).read({"s8": np.zeros((1, 32, 80))})


# -- DETR


def test_detr_logits_and_boxes_in_fractions() -> None:
    logits = np.full((2, 5, 80), NO_LOGIT, np.float32)
    logits[1, 3, 7] = np.log(0.8 / 0.2)
    boxes = np.full((2, 5, 4), 0.5, np.float32)
    boxes[1, 3] = [0.5, 0.25, 0.25, 0.5]
    found = make_reader(make_card("detr")).read({"dets": boxes, "labels": logits})
    check(found, [1], [[24, 0, 40, 16]], [0.8], [VehicleClass.TRUCK])


def test_detr_decoded_with_labels_and_scores() -> None:
    labels, scores = np.array([[2, 61, 0]]), np.array([[0.9, 0.9, 0.2]], np.float32)
    boxes = np.array([[[1, 2, 30, 20], [0, 0, 9, 9], [0, 0, 9, 9]]], np.float32)
    found = make_reader(make_card("detr")).read({"labels": labels, "boxes": boxes, "scores": scores})
    check(found, [0], [[1, 2, 30, 20]], [0.9], [VehicleClass.CAR])


def test_detr_outputs_are_identified_by_name_if_shapes_are_ambiguous() -> None:
    logits = np.full((1, 5, 4), NO_LOGIT, np.float32)  # four classes look like boxes
    logits[0, 1, 2] = 5
    boxes = np.full((1, 5, 4), 0.5, np.float32)
    named = make_card("detr", head_options={"boxes": "b", "logits": "l"}, classes={"2": "car"})
    assert make_reader(named).read({"b": boxes, "l": logits}).class_id.tolist() == [VehicleClass.CAR]
    with pytest.raises(ModelError, match="2 outputs fit as boxes"):
        make_reader(make_card("detr", classes={"2": "car"})).read({"b": boxes, "l": logits})
    with pytest.raises(ModelError, match="no output has the name 'b'"):
        make_reader(named).read({"x": boxes, "l": logits})


# -- all


def test_a_class_that_the_network_lacks_is_an_error() -> None:
    with pytest.raises(ModelError, match="lack the classes"):
        make_reader(make_card("detr")).read({"b": np.zeros((1, 5, 4)), "l": np.zeros((1, 5, 3))})
    with pytest.raises(ModelError, match="class index"):
        make_reader(make_card("detr", classes={"car": "car"}))


def test_infinite_and_empty_boxes_are_removed() -> None:
    logits = np.full((1, 4, 80), 9, np.float32)
    boxes = np.array([[[0.5, 0.5, np.nan, 0.2], [0.5, 0.5, 0, 0.1], [0.5, np.inf, 0.1, 0.1], [0.5, 0.5, 0.1, 0.1]]])
    assert len(make_reader(make_card("detr")).read({"b": boxes, "l": logits}).row) == 1


def test_nan_scores_give_no_box() -> None:
    logits = np.full((1, 3, 80), np.nan, np.float32)
    assert len(make_reader(make_card("detr")).read({"b": np.full((1, 3, 4), 0.5), "l": logits}).row) == 0


@pytest.mark.parametrize("head", ["yolox", "picodet", "detr"])
def test_low_scores_give_no_candidate(head: str) -> None:
    outputs = {
        "yolox": {"o": np.zeros((3, 42, 85), np.float32)},
        "picodet": {name: np.repeat(value, 3, axis=0) for name, value in picodet_outputs().items()},
        "detr": {"b": np.zeros((3, 7, 4)), "l": np.full((3, 7, 80), NO_LOGIT)},
    }[head]
    check(make_reader(make_card(head)).read(outputs), [], [], [], [])
