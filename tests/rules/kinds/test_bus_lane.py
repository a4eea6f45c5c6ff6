"""Driving in the bus lane."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from engine.rules.kinds.bus_lane import BusLaneRule
from engine.types import VehicleClass
from tests.support.road import BESIDE, INSIDE, LORRY_M, Vehicle, along, drive_in, judged, scene, straight
from tests.support.twins import Twins, single

BUS_LANE = BusLaneRule(name="bus", zone="lane")


def test_driving_in_the_bus_lane_is_reported_and_driving_beside_it_is_not() -> None:
    (case,) = drive_in(BUS_LANE, straight(INSIDE, 20, 40))
    assert (case.kind, case.article, case.outcome) == ("bus_lane", "601 p.1", "fine")
    assert case.instants["entry"] <= case.instants["proved"] == case.decisive_s
    assert drive_in(BUS_LANE, straight(BESIDE, 20, 40)) == []


@pytest.mark.parametrize("noise", [1.5, 2.5])
def test_a_neighbour_whose_box_jitters_over_the_border_is_not_reported(noise: float) -> None:
    assert drive_in(BUS_LANE, straight(1.9, 16, 30), noise_px=noise) == []


@pytest.mark.parametrize("class_id", [VehicleClass.BUS, VehicleClass.BICYCLE])
def test_a_vehicle_that_may_use_the_bus_lane_is_not_reported(class_id: VehicleClass) -> None:
    assert drive_in(BUS_LANE, straight(INSIDE, 20, 40), class_of=lambda t: class_id) == []


def test_a_vehicle_that_may_be_a_bus_is_not_reported_and_a_lorry_as_large_as_one_goes_to_an_officer() -> None:
    sometimes = lambda t: VehicleClass.BUS if t < 1.5 else VehicleClass.CAR  # noqa: E731
    assert drive_in(BUS_LANE, straight(INSIDE, 20, 40), class_of=sometimes) == []
    (case,) = drive_in(BUS_LANE, straight(INSIDE, 20, 40), class_of=lambda t: VehicleClass.TRUCK, size_m=LORRY_M)
    assert case.outcome == "officer"
    (van,) = drive_in(BUS_LANE, straight(INSIDE, 20, 40), class_of=lambda t: VehicleClass.TRUCK)
    assert van.outcome == "fine"


def test_the_bus_lane_is_open_outside_its_hours() -> None:
    for hours, cases in (("07:00-13:00", 1), ("13:00-20:00", 0)):
        assert len(drive_in(msgspec.structs.replace(BUS_LANE, hours=hours), straight(INSIDE, 20, 40))) == cases


def test_crossing_the_bus_lane_is_not_driving_in_it() -> None:
    assert drive_in(BUS_LANE, along((-4, 20), (0, 45), (9, 60), kmh=40)) == []


def test_the_dashed_entry_does_not_count() -> None:
    entry = msgspec.structs.replace(BUS_LANE, open_zones=("entry",))
    into_the_lane_late = along((0, 20), (0, 30), (INSIDE, 42), (INSIDE, 70), (0, 76), (0, 200), kmh=40)
    assert drive_in(entry, into_the_lane_late) == []
    assert len(drive_in(BUS_LANE, into_the_lane_late)) == 1
    assert len(drive_in(entry, straight(INSIDE, 20, 40))) == 1


def test_using_the_bus_lane_to_turn_off_is_not_reported_and_driving_on_is() -> None:
    turning = msgspec.structs.replace(BUS_LANE, turn_offs=("side-street",))
    turns = along((0, 20), (INSIDE, 35), (INSIDE, 66), (14, 72), kmh=30)
    drives_on = along((0, 20), (INSIDE, 35), (INSIDE, 66), (0, 76), (0, 200), kmh=30)
    assert drive_in(turning, turns) == []
    assert len(drive_in(turning, drives_on, lasts_s=16.0)) == 1
    assert len(drive_in(BUS_LANE, turns)) == 1


def test_a_vehicle_that_leaves_the_picture_before_it_could_turn_off_is_not_reported() -> None:
    turning = msgspec.structs.replace(BUS_LANE, turn_offs=("side-street",))
    assert drive_in(turning, straight(INSIDE, 20, 40), end_s=3.5) == []
    assert len(drive_in(BUS_LANE, straight(INSIDE, 20, 40), end_s=3.5)) == 1


def test_the_same_offence_is_reported_once_however_long_it_lasts() -> None:
    two = scene(BUS_LANE, msgspec.structs.replace(BUS_LANE, name="again"))
    vehicle = Vehicle(track=1, path=straight(INSIDE, 16, 15))
    assert len(judged(two, vehicle, replace(vehicle, track=2, path=straight(INSIDE, 30, 15)), lasts_s=16.0)) == 2


TWINS = (
    Twins(
        name="class",
        fact="is a bus",
        rule=BUS_LANE,
        guilty=single(straight(4.2, 18, 40)),
        innocent=single(straight(4.2, 18, 40), class_of=lambda t: VehicleClass.BUS),
    ),
    Twins(
        name="hours",
        fact="drives when the lane is open to all",
        rule=BusLaneRule(name="bus", zone="lane", hours="07:00-20:00"),
        innocent_rule=BusLaneRule(name="bus", zone="lane", hours="13:00-20:00"),
        guilty=single(straight(4.2, 18, 40)),
    ),
)
