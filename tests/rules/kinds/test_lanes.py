"""Driving where driving is not allowed: bus lane, shoulder, closed parts of the road, no entry. A guilty one and his
innocent twin for everything that the law asks.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from engine.errors import ConfigError
from engine.rules import SiteRulebook
from engine.rules.kinds.bus_lane import BusLaneRule
from engine.rules.kinds.overtaking_or_position import OvertakingRule
from engine.rules.kinds.shoulder_or_sidewalk import ShoulderRule
from engine.rules.kinds.sign_or_marking import MarkingRule
from engine.site import Line, Zone
from engine.types import VehicleClass, Violation
from tests.support.road import (
    KZ,
    LORRY_M,
    NOON_S,
    ROAD,
    Vehicle,
    Way,
    along,
    area,
    judged,
    project,
    site,
    still,
    straight,
)

pytestmark = pytest.mark.numeric

LANE = Zone(name="lane", polygon_px=area(2.5, 14, 6, 90))
ENTRY = Zone(name="entry", polygon_px=area(2.5, 14, 6, 60))
SIDE_STREET = Zone(name="side-street", polygon_px=area(6.5, 60, 16, 80))
ZONES = (ROAD, LANE, ENTRY, SIDE_STREET)
BUS_LANE = BusLaneRule(name="bus", zone="lane")
SHOULDER = ShoulderRule(name="shoulder", zone="lane")
ISLAND = OvertakingRule(name="island", zone="lane", manoeuvre="position")
SIGN = Line(name="sign", from_px=project(7, 40), to_px=project(2, 40))
"""Away from the camera is from its left to its right."""
NO_ENTRY = MarkingRule(name="brick", zone="beyond", sign="no_entry")
BEYOND = Zone(name="beyond", polygon_px=area(2.5, 40, 6, 90))
INSIDE, BESIDE = 4.2, 0.0


def drive(rule, *ways: Way, lasts_s: float = 12.0, zones=(*ZONES, BEYOND), lines=(), **of_vehicle) -> list[Violation]:
    where = site(rule, zones=zones, lines=lines)
    vehicles = [Vehicle(track=n, way=way, **of_vehicle) for n, way in enumerate(ways)]
    return judged(where, *vehicles, lasts_s=lasts_s)


def test_driving_in_the_bus_lane_is_told_and_driving_beside_it_is_not() -> None:
    (case,) = drive(BUS_LANE, straight(INSIDE, 20, 40))
    assert (case.kind, case.article, case.outcome) == ("bus_lane", "601 p.1", "fine")
    assert case.instants["entry"] <= case.instants["proved"] == case.decisive_s
    assert drive(BUS_LANE, straight(BESIDE, 20, 40)) == []


@pytest.mark.parametrize("noise", [1.5, 2.5])
def test_a_neighbour_whose_box_jitters_over_the_border_is_not_told(noise: float) -> None:
    where = site(BUS_LANE, zones=ZONES)
    assert judged(where, Vehicle(track=1, way=straight(1.9, 16, 30)), lasts_s=9.0, noise_px=noise) == []


@pytest.mark.parametrize("class_id", [VehicleClass.BUS, VehicleClass.BICYCLE])
def test_who_may_use_the_bus_lane_is_not_told(class_id: VehicleClass) -> None:
    assert drive(BUS_LANE, straight(INSIDE, 20, 40), class_of=lambda t: class_id) == []


def test_who_may_be_a_bus_is_not_told_and_a_lorry_as_large_as_one_goes_to_an_officer() -> None:
    sometimes = lambda t: VehicleClass.BUS if t < 1.5 else VehicleClass.CAR  # noqa: E731
    assert drive(BUS_LANE, straight(INSIDE, 20, 40), class_of=sometimes) == []
    (case,) = drive(BUS_LANE, straight(INSIDE, 20, 40), class_of=lambda t: VehicleClass.TRUCK, size_m=LORRY_M)
    assert case.outcome == "officer"
    (van,) = drive(BUS_LANE, straight(INSIDE, 20, 40), class_of=lambda t: VehicleClass.TRUCK)
    assert van.outcome == "fine"


def test_the_bus_lane_is_open_outside_its_hours() -> None:
    for hours, cases in (("07:00-13:00", 1), ("13:00-20:00", 0)):
        assert len(drive(msgspec.structs.replace(BUS_LANE, hours=hours), straight(INSIDE, 20, 40))) == cases


def test_crossing_the_bus_lane_is_not_driving_in_it() -> None:
    assert drive(BUS_LANE, along((-4, 20), (0, 45), (9, 60), kmh=40)) == []


def test_the_dashed_entry_does_not_count() -> None:
    entry = msgspec.structs.replace(BUS_LANE, open_zones=("entry",))
    into_the_lane_late = along((0, 20), (0, 30), (INSIDE, 42), (INSIDE, 70), (0, 76), (0, 200), kmh=40)
    assert drive(entry, into_the_lane_late) == []
    assert len(drive(BUS_LANE, into_the_lane_late)) == 1
    assert len(drive(entry, straight(INSIDE, 20, 40))) == 1


def test_using_the_bus_lane_to_turn_off_is_not_told_and_driving_on_is() -> None:
    turning = msgspec.structs.replace(BUS_LANE, turn_offs=("side-street",))
    turns = along((0, 20), (INSIDE, 35), (INSIDE, 66), (14, 72), kmh=30)
    drives_on = along((0, 20), (INSIDE, 35), (INSIDE, 66), (0, 76), (0, 200), kmh=30)
    assert drive(turning, turns) == []
    assert len(drive(turning, drives_on, lasts_s=16.0)) == 1
    assert len(drive(BUS_LANE, turns)) == 1


def test_who_leaves_the_picture_before_he_could_turn_off_is_not_told() -> None:
    turning = msgspec.structs.replace(BUS_LANE, turn_offs=("side-street",))
    assert drive(turning, straight(INSIDE, 20, 40), end_s=3.5) == []
    assert len(drive(BUS_LANE, straight(INSIDE, 20, 40), end_s=3.5)) == 1


@pytest.mark.parametrize("rule", [BUS_LANE, SHOULDER, ISLAND], ids=lambda rule: rule.name)
def test_standing_in_an_area_is_not_driving_in_it(rule) -> None:
    assert drive(rule, still(INSIDE, 40), lasts_s=30.0) == []


@pytest.mark.parametrize("rule", [BUS_LANE, SHOULDER, ISLAND], ids=lambda rule: rule.name)
def test_a_shorter_way_than_the_rule_asks_is_not_told(rule) -> None:
    through = along((0, 20), (0, 30), (INSIDE, 38), (INSIDE, 58), (0, 66), (0, 200), kmh=40)
    assert len(drive(msgspec.structs.replace(rule, at_least_m=15.0), through)) == 1
    assert drive(msgspec.structs.replace(rule, at_least_m=45.0), through) == []


@pytest.mark.parametrize("rule", [BUS_LANE, SHOULDER, ISLAND], ids=lambda rule: rule.name)
def test_a_shorter_time_than_the_rule_asks_is_not_told(rule) -> None:
    for at_least_s, cases in ((1.5, 1), (20.0, 0)):
        assert len(drive(msgspec.structs.replace(rule, at_least_s=at_least_s), straight(INSIDE, 20, 40))) == cases


def test_driving_on_the_shoulder_is_told_and_driving_beside_it_is_not() -> None:
    (case,) = drive(SHOULDER, straight(INSIDE, 16, 45))
    assert (case.kind, case.article) == ("shoulder_or_sidewalk", "596 p.1")
    assert drive(SHOULDER, straight(BESIDE, 16, 45)) == []


def test_pulling_over_is_not_told_and_neither_is_pulling_out() -> None:
    pulls_over = lambda t: (INSIDE, 20 + min(32.0, 8 * t))  # noqa: E731
    pulls_out = lambda t: (INSIDE if t < 10 else 0, 30 + max(0.0, 6 * (t - 5)))  # noqa: E731
    assert drive(SHOULDER, pulls_over, lasts_s=14.0) == []
    assert drive(SHOULDER, pulls_out, lasts_s=14.0) == []


def test_who_drives_along_the_shoulder_for_long_before_he_halts_is_told() -> None:
    assert len(drive(SHOULDER, lambda t: (INSIDE, 20 + min(62.0, 10 * t)), lasts_s=14.0)) == 1


def test_who_slows_down_as_he_leaves_the_picture_may_pull_over() -> None:
    brakes = lambda t: (INSIDE, 20 + 12 * t - 1.3 * t * t)  # noqa: E731
    assert drive(SHOULDER, brakes, end_s=4.0) == []
    assert len(drive(SHOULDER, straight(INSIDE, 20, 40), end_s=3.5)) == 1


def test_a_track_that_goes_on_as_another_has_not_left_the_picture() -> None:
    whole = straight(INSIDE, 20, 40)
    parts = [Vehicle(track=1, way=whole, end_s=3.0), Vehicle(track=2, way=whole, begin_s=3.2, end_s=12.0)]
    assert len(judged(site(SHOULDER, zones=ZONES), *parts, lasts_s=14.0)) == 1


def test_the_closed_part_of_the_carriageway_is_told_to_who_drives_on_it() -> None:
    (case,) = drive(ISLAND, straight(INSIDE, 20, 40))
    assert (case.kind, case.article) == ("overtaking_or_position", "596 p.2")
    assert drive(ISLAND, straight(BESIDE, 20, 40)) == []


def test_coming_in_where_there_is_no_entry_is_told_and_staying_out_is_not() -> None:
    (case,) = drive(NO_ENTRY, straight(INSIDE, 18, 40))
    assert (case.kind, case.rule, case.outcome) == ("sign_or_marking", "brick", "fine")
    assert case.instants["entry"] == pytest.approx(NOON_S + 22 / (40 / 3.6), abs=0.2)
    assert drive(NO_ENTRY, straight(BESIDE, 18, 40)) == []


def test_who_was_there_already_has_not_come_in() -> None:
    assert drive(NO_ENTRY, straight(INSIDE, 45, 30)) == []


def test_who_turns_back_at_once_is_not_told() -> None:
    assert drive(NO_ENTRY, lambda t: (INSIDE, 30 + min(13.0, 4 * t) - max(0.0, 4 * (t - 5)))) == []


def test_the_sign_holds_for_who_passes_it_forward_only() -> None:
    rule = msgspec.structs.replace(NO_ENTRY, line="sign")
    turned = Line(name="sign", from_px=SIGN.to_px, to_px=SIGN.from_px)
    elsewhere = Line(name="sign", from_px=project(-7, 40), to_px=project(-9, 40))
    for line, cases in ((SIGN, 1), (turned, 0), (elsewhere, 0)):
        assert len(drive(rule, straight(INSIDE, 18, 40), lines=(line,))) == cases


@pytest.mark.parametrize("rule", [BUS_LANE, SHOULDER, ISLAND, NO_ENTRY], ids=lambda rule: rule.name)
def test_a_person_or_a_bicycle_is_never_told(rule) -> None:
    for class_id in (VehicleClass.PERSON, VehicleClass.BICYCLE):
        assert drive(rule, straight(INSIDE, 18, 20), class_of=lambda t, c=class_id: c) == []


@pytest.mark.parametrize("rule", [BUS_LANE, SHOULDER, ISLAND, NO_ENTRY], ids=lambda rule: rule.name)
def test_without_a_calibration_the_rule_is_refused(rule) -> None:
    blind = site(rule, zones=(*ZONES, BEYOND), calibration=None)
    with pytest.raises(ConfigError, match=f"rule {rule.name} .* needs a calibration"):
        SiteRulebook({0: blind}, {0: "cam"}, KZ)


def test_the_same_offence_is_told_once_however_long_it_lasts() -> None:
    two = site(BUS_LANE, msgspec.structs.replace(BUS_LANE, name="again"), zones=ZONES)
    vehicle = Vehicle(track=1, way=straight(INSIDE, 16, 15))
    assert len(judged(two, vehicle, replace(vehicle, track=2, way=straight(INSIDE, 30, 15)), lasts_s=16.0)) == 2
