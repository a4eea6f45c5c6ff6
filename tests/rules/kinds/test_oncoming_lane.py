"""Driving on the oncoming side."""

from __future__ import annotations

import msgspec

from engine.rules.catalogue import Part
from engine.rules.kinds.oncoming_lane import OncomingLaneRule
from tests.support.road import KZ, Vehicle, along, drive, still, straight
from tests.support.twins import BACK, SLOW, Twins, single

NO_ONCOMING = OncomingLaneRule(name="keep-right", zone="other", direction_px=BACK)


def test_driving_on_the_oncoming_side_is_reported_and_always_for_an_officer() -> None:
    (case,) = drive(NO_ONCOMING, straight(-3, 16, 40))
    assert (case.kind, case.article, case.outcome) == ("oncoming_lane", "596 p.3", "officer")
    replace, fine = msgspec.structs.replace, (Part(article="596 p.3"),)
    fines = [k if k.kind != "oncoming_lane" else replace(k, outcome="fine", parts=fine) for k in KZ.kinds]
    stern = replace(KZ, kinds=tuple(fines))
    (case,) = drive(NO_ONCOMING, straight(-3, 16, 40), catalogue=stern)
    assert case.outcome == "officer"


def test_keeping_to_the_own_side_is_not_reported_and_neither_is_oncoming_traffic() -> None:
    assert drive(NO_ONCOMING, straight(3, 16, 40)) == []
    assert drive(NO_ONCOMING, straight(-3, 100, -40)) == []


def test_passing_a_standing_vehicle_on_the_oncoming_side_is_not_reported() -> None:
    around = along((3, 16), (3, 26), (-3, 36), (-3, 62), (3, 74), (3, 200), kmh=40)
    assert drive(NO_ONCOMING, around, Vehicle(track=2, path=still(3, 48))) == []
    assert len(drive(NO_ONCOMING, around)) == 1
    assert len(drive(NO_ONCOMING, around, SLOW)) == 1


def test_a_short_way_on_the_oncoming_side_is_not_reported() -> None:
    dodge = along((3, 16), (3, 36), (-1.5, 44), (-1.5, 52), (3, 60), (3, 200), kmh=40)
    assert drive(NO_ONCOMING, dodge) == []
    assert drive(NO_ONCOMING, along((3, 16), (3, 36), (-3, 44), (-30, 46), kmh=25)) == []


TWINS = (
    Twins(
        name="other side",
        fact="keeps to the own side",
        rule=NO_ONCOMING,
        guilty=single(straight(-3, 16, 40)),
        innocent=single(straight(3, 16, 40)),
        outcome="officer",
    ),
)
