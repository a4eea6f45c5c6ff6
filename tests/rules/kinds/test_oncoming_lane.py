"""Driving on the oncoming side."""

from __future__ import annotations

import msgspec

from engine.rules.catalogue import Part
from engine.rules.kinds.oncoming_lane import OncomingLaneRule
from engine.rules.kinds.overtaking_or_position import OvertakingRule
from engine.site import Site, Zone
from engine.types import Violation
from tests.support.road import KZ, ROAD, Trajectory, Vehicle, along, area, judged, project, site, still, straight
from tests.support.twins import BACK, SLOW, Twins, scene, single

ONCOMING = Zone(name="oncoming", polygon_px=area(-6, 14, -0.3, 110))
NO_ONCOMING = OncomingLaneRule(name="keep-right", zone="oncoming", direction_px=(project(-3, 60), project(-3, 30)))


def road(*rules: OncomingLaneRule | OvertakingRule) -> Site:
    return site(*rules, zones=(ROAD, ONCOMING))


def drive(
    rule: object, path: Trajectory, *others: Vehicle, lasts_s: float = 8.0, **of_vehicle: object
) -> list[Violation]:
    return judged(road(rule), Vehicle(track=1, path=path, **of_vehicle), *others, lasts_s=lasts_s)


def test_driving_on_the_oncoming_side_is_reported_and_always_for_an_officer() -> None:
    (case,) = drive(NO_ONCOMING, straight(-3, 16, 40))
    assert (case.kind, case.article, case.outcome) == ("oncoming_lane", "596 p.3", "officer")
    replace, fine = msgspec.structs.replace, (Part(article="596 p.3"),)
    fines = [k if k.kind != "oncoming_lane" else replace(k, outcome="fine", parts=fine) for k in KZ.kinds]
    stern = replace(KZ, kinds=tuple(fines))
    (case,) = judged(road(NO_ONCOMING), Vehicle(track=1, path=straight(-3, 16, 40)), lasts_s=8.0, catalogue=stern)
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
        kind="oncoming_lane",
        name="other side",
        fact="keeps to the own side",
        where=scene(OncomingLaneRule(name="keep-right", zone="other", direction_px=BACK)),
        guilty=single(straight(-3, 16, 40)),
        innocent=single(straight(3, 16, 40)),
        outcome="officer",
    ),
)
