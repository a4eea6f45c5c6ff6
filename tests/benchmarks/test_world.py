"""The world benchmark: the plates that it reads, and the count of their readings."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from benchmarks.rendered import ClipTruth
from benchmarks.world import confident_plate
from benchmarks.world_plates import MOST_VIEWS, choose_views, figures
from engine.types import Case, Entry


def clip(*widths_px: float, visible: float = 1.0) -> dict[str, Any]:
    """One vehicle with the width of its plate in each frame; 0: the plate is not visible."""

    def row(width_px: float) -> dict[str, Any]:
        plate = {"width_px": width_px} if width_px else None
        return {"name": "a", "visible": visible, "xyxy_px": [0.0, 0.0, 9.0, 9.0], "plate": plate}

    return {
        "vehicles": [{"name": "a", "plate": "908 ZKA 01"}],
        "frames": [{"vehicles": [row(width_px)]} for width_px in widths_px],
    }


def entry(plate: dict[str, Any] | None) -> Entry:
    document = msgspec.json.encode({"plate": plate})
    return Entry(1, 0.0, Case("id", "cam", "speeding", 0.0, document, (), "folder"))


def test_choose_views_takes_a_few_frames_of_each_band_from_the_first_to_the_last() -> None:
    found = list(choose_views(clip(52, 53, 54, 55, 56, 64)))
    assert [(band, view.frame) for band, view in found] == [*[("50-60", frame) for frame in (0, 2, 4)], ("60-70", 5)]
    assert MOST_VIEWS == 3
    assert {view.text for _, view in found} == {"908ZKA01"}


def test_choose_views_skips_a_hidden_or_small_plate() -> None:
    assert list(choose_views(clip(0, 12, 39))) == []
    assert list(choose_views(clip(80, visible=0.9))) == []


def test_figures_count_readings_by_their_distance_from_the_truth() -> None:
    found = figures([("908ZKA01", read) for read in ("908ZKA01", "908ZKA07", "90BZKA07", "")])
    assert found == {"n": 4, "exact": 0.25, "within_one": 0.5, "none": 0.25}


@pytest.mark.parametrize(
    ("plate", "named"),
    [
        ({"text": "908ZKA01", "confidence": 0.95}, "908ZKA01"),
        ({"text": "908ZKA01", "confidence": 0.85}, ""),
        (None, ""),
    ],
)
def test_a_case_names_an_owner_only_if_its_plate_is_confident(plate: dict[str, Any] | None, named: str) -> None:
    assert confident_plate(entry(plate), least_confidence=0.9) == named


def test_clip_truth_finds_a_plate_by_the_name_of_its_vehicle() -> None:
    truth = ClipTruth(clip(52))
    assert truth.plate_of("a") == "908ZKA01"
    assert truth.plate_of("no such vehicle") == ""
