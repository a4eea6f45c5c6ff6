from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from engine.decode.frame_fetcher import fetch_frames
from engine.evidence import EvidenceTools
from engine.evidence.stills import SeenObject, redact
from engine.types import Detections, Segment, VehicleClass
from rig.evidence_bench import Bench, build_case, found_boxes, shown
from rig.examples import picture


def contrast(pixels: np.ndarray, box: tuple[float, float, float, float]) -> float:
    """Contrast of the fine checks of the footage in the box: 0 to about 80."""
    left, top, right, bottom = (int(edge) for edge in box)
    return float(pixels[top:bottom, left:right, 0].std())


PERSON_PX = (10.0, 20.0, 40.0, 100.0)
OTHER_PX = (220.0, 50.0, 300.0, 130.0)
OWN_PX = (116.0, 60.0, 196.0, 120.0)
VEHICLE = SeenObject((100.0, 40.0, 220.0, 160.0), VehicleClass.TRUCK)


@pytest.fixture
def redacted(tmp_path: Path, footage: list[Segment]):
    """Makes a case whose stills all show these objects, and returns its pictures by name."""

    def build(*objects: tuple[VehicleClass, tuple[float, ...]]) -> Callable[[str], np.ndarray]:
        def find(stills: Sequence[object]) -> Detections:
            return found_boxes(len(stills), *((still, *one) for one in objects for still in range(len(stills))))

        bench = Bench(tmp_path, EvidenceTools(fetch_frames, find))
        case, record = build_case(bench, footage)
        assert record.incomplete == ()
        return lambda name="overview.jpg": shown(bench, case, name)

    return build


def test_persons_and_other_plates_are_redacted_and_the_vehicles_own_is_not(redacted):
    picture_of = redacted((VehicleClass.PERSON, PERSON_PX), (VehicleClass.CAR, OTHER_PX), (VehicleClass.CAR, OWN_PX))
    for name in ("overview.jpg", "still-first.jpg", "still-last.jpg"):
        pixels = picture_of(name)
        assert contrast(pixels, PERSON_PX) < 25
        assert contrast(pixels, (220, 85, 300, 130)) < 25  # the lower part of the other car
        assert contrast(pixels, (225, 52, 295, 76)) > 40  # its upper part stays
        assert contrast(pixels, (130, 60, 180, 120)) > 40
    assert contrast(picture_of("overlay.jpg"), (222, 100, 298, 128)) < 25


@pytest.mark.parametrize("box", [(100.0, 20.0, 310.0, 190.0), (112.0, 50.0, 300.0, 125.0)])
def test_the_vehicles_own_plate_stays_clear_under_a_person_and_another_vehicle(redacted, box: tuple[float, ...]):
    pixels = redacted((VehicleClass.PERSON, box), (VehicleClass.TRUCK, box))()
    assert contrast(pixels, (118, 86, 194, 118)) > 40
    assert contrast(pixels, (118, 62, 194, 80)) < 25  # its windscreen does not
    assert contrast(pixels, (210, 100, 295, 120)) < 25


def test_a_person_in_front_of_the_vehicle_is_redacted(redacted):
    pixels = redacted((VehicleClass.PERSON, (116, 50, 196, 120)))()
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


@pytest.mark.parametrize(
    ("kind", "score", "is_hidden"),
    [(VehicleClass.MOTORCYCLE, 0.6, True), (VehicleClass.CAR, 0.25, False), (VehicleClass.PERSON, 0.25, True)],
)
def test_a_box_inside_the_vehicle_is_part_of_it_unless_it_is_a_person_or_has_a_high_score(kind, score, is_hidden):
    inside = SeenObject((105.0, 45.0, 150.0, 105.0), kind, score)
    pixels = np.asarray(redact(picture(0), [inside], VEHICLE), np.float32)
    assert (contrast(pixels, (108.0, 75.0, 147.0, 103.0)) < 25) is is_hidden


def test_a_box_with_a_low_score_beside_the_vehicle_is_another_vehicle():
    beside = SeenObject((230.0, 40.0, 300.0, 160.0), VehicleClass.CAR, 0.25)
    pixels = np.asarray(redact(picture(0), [beside], VEHICLE), np.float32)
    assert contrast(pixels, (235.0, 100.0, 295.0, 155.0)) < 25
