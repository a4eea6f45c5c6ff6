from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from engine.decode.frame_fetcher import fetch_frames
from engine.evidence import EvidenceTools
from engine.evidence.stills import SeenObject, redact
from engine.types import Detections, Segment, VehicleClass
from rig.evidence_bench import Bench, build_case, found_boxes, shown
from rig.examples import make_footage, picture


def contrast(pixels: np.ndarray, box: tuple[float, float, float, float]) -> float:
    """How much the fine checks of the footage are still there: 0 to about 80."""
    left, top, right, bottom = (int(edge) for edge in box)
    return float(pixels[top:bottom, left:right, 0].std())


@pytest.fixture(scope="module")
def footage() -> list[Segment]:
    return make_footage(12)


PERSON_PX = (10.0, 20.0, 40.0, 100.0)
OTHER_PX = (220.0, 50.0, 300.0, 130.0)


def test_persons_and_other_plates_are_redacted_and_the_vehicles_own_is_not(tmp_path: Path, footage: list[Segment]):
    def find(stills: Sequence[object]) -> Detections:
        each = range(len(stills))
        own = (116.0, 60.0, 196.0, 120.0)
        return found_boxes(
            len(stills),
            *((still, VehicleClass.PERSON, PERSON_PX) for still in each),
            *((still, VehicleClass.CAR, OTHER_PX) for still in each),
            *((still, VehicleClass.CAR, own) for still in each),
        )

    bench = Bench(tmp_path, EvidenceTools(fetch_frames, find))
    case, record = build_case(bench, footage)
    assert record.incomplete == ()
    for name in ("overview.jpg", "still-first.jpg", "still-last.jpg"):
        pixels = shown(bench, case, name)
        assert contrast(pixels, PERSON_PX) < 25
        assert contrast(pixels, (220, 85, 300, 130)) < 25  # the lower part of the other car
        assert contrast(pixels, (225, 52, 295, 76)) > 40  # its upper part stays
        assert contrast(pixels, (130, 60, 180, 120)) > 40
    assert contrast(shown(bench, case, "overlay.jpg"), (222, 100, 298, 128)) < 25


@pytest.mark.parametrize("box", [(100.0, 20.0, 310.0, 190.0), (112.0, 50.0, 300.0, 125.0)])
def test_the_vehicles_own_plate_stays_clear_under_a_person_and_another_vehicle(
    tmp_path: Path, footage: list[Segment], box: tuple[float, float, float, float]
):
    def find(stills: Sequence[object]) -> Detections:
        return found_boxes(
            len(stills),
            *((still, VehicleClass.PERSON, box) for still in range(len(stills))),
            *((still, VehicleClass.TRUCK, box) for still in range(len(stills))),
        )

    bench = Bench(tmp_path, EvidenceTools(fetch_frames, find))
    case, _ = build_case(bench, footage)
    pixels = shown(bench, case)
    assert contrast(pixels, (118, 86, 194, 118)) > 40
    assert contrast(pixels, (118, 62, 194, 80)) < 25  # its windscreen does not
    assert contrast(pixels, (210, 100, 295, 120)) < 25


def test_a_person_in_front_of_the_vehicle_is_redacted(tmp_path: Path, footage: list[Segment]):
    def find(stills: Sequence[object]) -> Detections:
        return found_boxes(len(stills), *((i, VehicleClass.PERSON, (116, 50, 196, 120)) for i in range(len(stills))))

    bench = Bench(tmp_path, EvidenceTools(fetch_frames, find))
    case, _ = build_case(bench, footage)
    pixels = shown(bench, case)
    assert contrast(pixels, (118, 52, 194, 80)) < 25
    assert contrast(pixels, (118, 88, 194, 118)) > 40


def test_everything_but_the_vehicle_is_redacted_if_detection_fails(tmp_path: Path, footage: list[Segment]):
    def find(stills: Sequence[object]) -> Detections:
        raise RuntimeError("no model")

    bench = Bench(tmp_path, EvidenceTools(fetch_frames, find))
    case, record = build_case(bench, footage)
    pixels = shown(bench, case)
    assert contrast(pixels, (118, 62, 194, 118)) > 40
    assert contrast(pixels, (210, 10, 310, 180)) < 25
    assert record.incomplete[0].code == "redaction_failed"


OWN = SeenObject((100.0, 40.0, 220.0, 160.0), VehicleClass.TRUCK)
BEFORE_IT_PX = (105.0, 45.0, 150.0, 105.0)


@pytest.mark.parametrize(
    ("kind", "score", "hidden"),
    [(VehicleClass.MOTORCYCLE, 0.6, True), (VehicleClass.CAR, 0.25, False), (VehicleClass.PERSON, 0.25, True)],
)
def test_a_doubtful_box_within_the_vehicle_is_a_part_of_it_a_sure_one_or_a_person_is_not(kind, score, hidden):
    shown_px = np.asarray(redact(picture(0), [SeenObject(BEFORE_IT_PX, kind, score)], OWN), np.float32)
    assert (contrast(shown_px, (108.0, 75.0, 147.0, 103.0)) < 25) is hidden


def test_a_doubtful_box_beside_the_vehicle_is_another_one():
    beside = (230.0, 40.0, 300.0, 160.0)
    shown_px = np.asarray(redact(picture(0), [SeenObject(beside, VehicleClass.CAR, 0.25)], OWN), np.float32)
    assert contrast(shown_px, (235.0, 100.0, 295.0, 155.0)) < 25
