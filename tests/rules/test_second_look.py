"""Rules that a second look decides: which vehicles are suspected, and in which sighting."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.rules.kinds.seatbelt import SeatbeltRule
from engine.rules.second_look import BestSightingRule
from engine.site import Rule
from engine.types import Findings, VehicleClass
from tests.support.road import Vehicle, found, site, straight

COMES = straight(0, 74, -45)
LEAVES_S = 4.5


def findings(rule: Rule, **facts: Any) -> list[Findings]:
    vehicle = Vehicle(track=1, path=COMES, end_s=LEAVES_S, **facts)
    return [one for one in found(site(rule), vehicle, lasts_s=8.0) if one.found]


def require_suspicions(rule: type[BestSightingRule], means: str) -> None:
    """A vehicle that is seen well is suspected once, a small one is not; no violation is claimed."""
    near, far = rule(name="look", zone="road", at_least_px=60.0), rule(name="look", zone="far", at_least_px=600.0)
    ((suspicion,),) = [one.suspicions for one in findings(near)]
    assert suspicion.violation.kind == rule.__struct_config__.tag
    assert findings(far) == []
    assert [one.violations + one.crossings for one in findings(near)] == [[]]
    assert rule.means == means


def test_the_sighting_is_the_largest_uncut_one_in_the_zone() -> None:
    ((suspicion,),) = [one.suspicions for one in findings(SeatbeltRule(name="belt", zone="road", at_least_px=60.0))]
    seen = suspicion.violation
    best = next(one for one in seen.sightings if one.captured_s == seen.decisive_s)
    whole = [one for one in seen.sightings if one.xyxy_px[3] < 718 and one.captured_s <= seen.decisive_s]
    assert best.xyxy_px == max(whole, key=lambda one: one.xyxy_px[2] - one.xyxy_px[0]).xyxy_px


@pytest.mark.parametrize("class_id", [VehicleClass.BICYCLE, VehicleClass.PERSON])
def test_bicycles_and_persons_are_never_suspected(class_id: VehicleClass) -> None:
    rule = SeatbeltRule(name="belt", zone="road", at_least_px=10.0)
    assert findings(rule, class_of=lambda t: class_id) == []


def test_another_zone_than_the_rule_names_is_not_watched() -> None:
    rule = SeatbeltRule(name="belt", zone="kerb", at_least_px=60.0)
    assert findings(rule) == []
    assert findings(msgspec.structs.replace(rule, zone="road"))
