"""Which plates the world benchmark reads, and how their readings are counted."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from benchmarks.rendered import Truth
from benchmarks.world import surely_read
from benchmarks.world_plates import LOOKS, figures, looks
from engine.types import Case, Entry


def clip(*widths_px: float, visible: float = 1.0) -> dict[str, Any]:
    """One vehicle whose plate has a width a frame; 0: its plate is not to be seen."""

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


def test_a_vehicle_is_looked_at_in_a_few_frames_a_band_from_the_first_to_the_last() -> None:
    found = list(looks(clip(52, 53, 54, 55, 56, 64)))
    assert [(band, look.frame) for band, look in found] == [
        *[("50-60", frame) for frame in (0, 2, 4)],
        ("60-70", 5),
    ]
    assert LOOKS == 3
    assert {look.text for _, look in found} == {"908ZKA01"}


def test_a_plate_that_is_hidden_or_too_small_is_not_looked_at() -> None:
    assert list(looks(clip(0, 12, 39))) == []
    assert list(looks(clip(80, visible=0.9))) == []


def test_readings_are_counted_by_how_near_they_are() -> None:
    found = figures([("908ZKA01", said) for said in ("908ZKA01", "908ZKA07", "90BZKA07", "")])
    assert found == {"n": 4, "exact": 0.25, "within_one": 0.5, "none": 0.25}


@pytest.mark.parametrize(
    ("plate", "named"),
    [
        ({"text": "908ZKA01", "confidence": 0.95}, "908ZKA01"),
        ({"text": "908ZKA01", "confidence": 0.85}, ""),
        (None, ""),
    ],
)
def test_a_case_names_an_owner_only_where_its_plate_was_surely_read(plate: dict[str, Any] | None, named: str) -> None:
    assert surely_read(entry(plate), least_confidence=0.9) == named


def test_the_truth_knows_a_plate_by_the_name_of_its_vehicle() -> None:
    truth = Truth(clip(52))
    assert truth.plate_of("a") == "908ZKA01"
    assert truth.plate_of("nobody") == ""
