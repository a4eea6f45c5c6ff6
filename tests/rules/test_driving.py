"""Driving in an area over a distance and for a time: what all such rules share."""

from __future__ import annotations

import msgspec
import pytest

from engine.errors import ConfigError
from engine.rules import SiteRulebook
from engine.types import VehicleClass
from tests.rules.kinds.test_bus_lane import BUS_LANE
from tests.rules.kinds.test_overtaking_or_position import ISLAND
from tests.rules.kinds.test_shoulder_or_sidewalk import SHOULDER
from tests.rules.kinds.test_sign_or_marking import NO_ENTRY
from tests.support.road import INSIDE, KZ, along, drive_in, scene, still, straight

area_rules = pytest.mark.parametrize("rule", [BUS_LANE, SHOULDER, ISLAND], ids=lambda rule: rule.name)
all_rules = pytest.mark.parametrize("rule", [BUS_LANE, SHOULDER, ISLAND, NO_ENTRY], ids=lambda rule: rule.name)


@area_rules
def test_standing_in_an_area_is_not_driving_in_it(rule) -> None:
    assert drive_in(rule, still(INSIDE, 40), lasts_s=30.0) == []


@area_rules
def test_a_shorter_way_than_the_rule_asks_is_not_reported(rule) -> None:
    through = along((0, 20), (0, 30), (INSIDE, 38), (INSIDE, 58), (0, 66), (0, 200), kmh=40)
    assert len(drive_in(msgspec.structs.replace(rule, at_least_m=15.0), through)) == 1
    assert drive_in(msgspec.structs.replace(rule, at_least_m=45.0), through) == []


@area_rules
def test_a_shorter_time_than_the_rule_asks_is_not_reported(rule) -> None:
    for at_least_s, cases in ((1.5, 1), (20.0, 0)):
        assert len(drive_in(msgspec.structs.replace(rule, at_least_s=at_least_s), straight(INSIDE, 20, 40))) == cases


@all_rules
def test_a_person_or_a_bicycle_is_never_reported(rule) -> None:
    for class_id in (VehicleClass.PERSON, VehicleClass.BICYCLE):
        assert drive_in(rule, straight(INSIDE, 18, 20), class_of=lambda t, c=class_id: c) == []


@all_rules
def test_without_a_calibration_the_rule_is_refused(rule) -> None:
    blind = scene(rule, calibration=None)
    with pytest.raises(ConfigError, match=f"rule {rule.name} .* needs a calibration"):
        SiteRulebook({0: blind}, {0: "cam"}, KZ)
