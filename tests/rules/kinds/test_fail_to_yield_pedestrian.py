"""Giving way to pedestrians on a crossing."""

from __future__ import annotations

import pytest

from engine.rules.kinds.fail_to_yield_pedestrian import YieldRule
from engine.site import Rule, Site, Zone
from engine.types import VehicleClass, Violation
from tests.support import road
from tests.support.road import KMH, NOON_S, Trajectory, Vehicle, Walker, area, scene, straight, walking
from tests.support.twins import COMES, Twins
from tests.support.world import Traffic

YIELD = YieldRule(name="zebra", zone="zebra")
ONTO_S = (74 - 34) / (45 / KMH)


def drive(path: Trajectory, *walkers: Walker, where: Site | Rule = YIELD, **facts: object) -> list[Violation]:
    return road.drive(where, path, walkers=walkers, **({"lasts_s": 7.0} | facts))


def with_zebra(near_m: float) -> Site:
    """The scene with the crossing elsewhere."""
    return scene(YIELD, zones=(Zone(name="zebra", polygon_px=area(-6, near_m, 6, near_m + 4)),))


def at_meeting(x: float, mps: float, y: float = 32.0) -> Walker:
    """A pedestrian at x as the vehicle comes onto the crossing."""
    return Walker(path=walking(x - mps * ONTO_S, y, mps))


def test_driving_on_before_a_pedestrian_is_reported_and_without_one_it_is_not() -> None:
    (case,) = drive(COMES, at_meeting(-2, 1.4))
    assert (case.kind, case.article, case.outcome) == ("fail_to_yield_pedestrian", "600 p.1", "fine")
    assert case.instants["crossing"] == pytest.approx(NOON_S + ONTO_S, abs=0.15)
    assert case.instants["approach"] < case.instants["crossing"]
    assert drive(COMES) == []


def test_the_case_does_not_mention_the_pedestrian() -> None:
    (case,) = drive(COMES, at_meeting(-2, 1.4))
    assert case.class_id is VehicleClass.CAR
    assert all(sighting.position_m[0] == pytest.approx(0, abs=0.5) for sighting in case.sightings)


def test_a_vehicle_that_slows_down_or_stops_gives_way() -> None:
    def slows(t: float) -> tuple[float, float]:
        """From 45 to 29 km/h at the crossing."""
        braking_s = min(max(0.0, t - 2.0), 1.5)
        return 0.0, 74 - 12.5 * min(t, 2.0) - 12.5 * braking_s + 1.5 * braking_s**2 - 8.0 * max(0.0, t - 3.5)

    assert drive(slows, at_meeting(-2, 1.0)) == []
    assert drive(lambda t: (0, max(37, 74 - 12.5 * t)), at_meeting(-2, 1.0)) == []


def test_a_pedestrian_on_the_other_half_of_the_road_is_not_in_the_way() -> None:
    assert drive(COMES, at_meeting(-4.8, 0.4)) == []
    assert len(drive(COMES, at_meeting(-2.5, 1.0))) == 1


def test_a_pedestrian_who_walks_away_from_the_path_is_not_in_the_way() -> None:
    assert drive(COMES, at_meeting(2.5, 1.4)) == []
    assert len(drive(COMES, at_meeting(-2.5, 1.4))) == 1


def test_a_pedestrian_at_the_kerb_or_beside_the_crossing_is_not_on_it() -> None:
    assert drive(COMES, at_meeting(-6.6, 0.0)) == []
    assert drive(COMES, at_meeting(-2, 1.4, y=40.0)) == []


def test_a_pedestrian_who_steps_out_too_late_could_not_be_seen() -> None:
    for x in (-2.0, -0.93):
        assert drive(COMES, Walker(path=lambda t, x=x: (x, 32.0), begin_s=ONTO_S - 0.15)) == []


def test_one_false_box_is_no_pedestrian() -> None:
    blink = Walker(path=lambda t: (-1.0, 32.0), begin_s=ONTO_S - 0.1, end_s=ONTO_S + 0.02)
    assert drive(COMES, blink) == []


def test_a_crawling_vehicle_has_given_way() -> None:
    assert drive(straight(0, 46, -12), at_meeting(-1, 0.0), lasts_s=8.0) == []


def test_a_vehicle_whose_approach_was_not_seen_is_not_reported() -> None:
    near = straight(0, 40, -45)
    walker = Walker(path=lambda t: (-1.5, 32.0))
    assert drive(near, walker, lasts_s=3.0) == []


def test_a_rider_is_no_pedestrian() -> None:
    rider = Walker(path=lambda t: COMES(t))
    assert drive(COMES, rider) == []


def test_a_pedestrian_far_from_the_crossing_does_not_count() -> None:
    assert drive(COMES, at_meeting(-2, 1.4), where=with_zebra(60)) == []


@pytest.mark.parametrize("class_id", [VehicleClass.BICYCLE, VehicleClass.PERSON])
def test_bicycles_and_persons_are_never_reported(class_id: VehicleClass) -> None:
    assert drive(COMES, at_meeting(-2, 1.4), class_of=lambda t: class_id) == []


def test_away_from_the_camera_the_same_is_reported() -> None:
    onto_s = 26 / (40 / KMH)
    walker = Walker(path=walking(-2 - 1.2 * onto_s, 42, 1.2))
    assert len(drive(straight(0, 14, 40), walker, where=with_zebra(40))) == 1


TWINS = (
    Twins(
        name="in the way",
        fact="the person has passed and walks away",
        rule=YIELD,
        guilty=Traffic([Vehicle(track=1, path=COMES)], [at_meeting(-2, 1.4)]),
        innocent=Traffic([Vehicle(track=1, path=COMES)], [at_meeting(4.5, 1.4)]),
    ),
    Twins(
        name="slows",
        fact="stops before the crossing",
        rule=YIELD,
        guilty=Traffic([Vehicle(track=1, path=COMES)], [at_meeting(-2, 1.4)]),
        innocent=Traffic([Vehicle(track=1, path=lambda t: (0, max(36.5, 74 - 12.5 * t)))], [at_meeting(-2, 1.4)]),
    ),
)
