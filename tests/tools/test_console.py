"""The text of a case in the console."""

from __future__ import annotations

from typing import Any

import pytest

from engine.tools.console import describe

PLATE = {"text": "908ZKA01", "confidence": 0.991}
MEASURED = {"enforced_kmh": 92, "limit_kmh": 60.0}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"plate": PLATE, "measurement": MEASURED}, "car 908ZKA01 (99 %), 92 km/h, limit 60"),
        ({"measurement": MEASURED}, "car, 92 km/h, limit 60"),
        ({"plate": PLATE, "measurement": None}, "car 908ZKA01 (99 %)"),
        ({"plate": None}, "car"),
    ],
)
def test_a_case_is_described_with_its_plate_and_speed_if_it_has_them(fields: dict[str, Any], text: str) -> None:
    assert describe({"vehicle_class": "car", **fields}) == text
