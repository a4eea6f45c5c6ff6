"""`average_speed`, one end of a section: a crossing is reported once, and is no violation.

The drive over both ends: tests/section and tests/app/test_world_section.py.
"""

from __future__ import annotations

import pytest

from engine.rules.kinds.average_speed import SectionEndRule
from engine.site import Line
from engine.types import Findings
from tests.support.road import KMH, NOON_S, Trajectory, Vehicle, found, project, site, straight

GATE = Line(name="gate", from_px=project(7, 40), to_px=project(-7, 40))
WHERE = site(SectionEndRule(name="end", zone="road", line="gate"), lines=(GATE,))


def crossings(path: Trajectory) -> list[Findings]:
    return [one for one in found(WHERE, Vehicle(track=1, path=path, end_s=6.0), lasts_s=10.0) if one.found]


def test_a_vehicle_that_crosses_the_line_forward_is_reported_once() -> None:
    (findings,) = crossings(straight(0, 16, 50))
    (crossing,) = findings.crossings
    assert crossing.violation.kind == "average_speed"
    assert crossing.violation.decisive_s == pytest.approx(NOON_S + 24 / (50 / KMH), abs=0.1)
    assert findings.violations == []


def test_a_vehicle_that_crosses_it_back_or_turns_before_it_is_not_reported() -> None:
    assert crossings(straight(0, 80, -50)) == []
    assert crossings(lambda t: (0, min(36.0, 16 + 8 * t))) == []
