"""Driving against the arrow over a distance and a time; nothing that stands, jitters or jumps."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from engine.errors import ConfigError
from engine.rules import SiteRulebook
from engine.site import Site
from engine.types import Clock, VehicleClass, Violation
from tests.support import road
from tests.support.road import KMH, KZ, NOON_S, WRONG_WAY, Trajectory, Vehicle, judged, project, site, still, straight
from tests.support.twins import Twins, single

ONE_WAY = site(WRONG_WAY)
"""The arrow points away from the camera."""


def drive(path: Trajectory, where: Site = ONE_WAY, **facts: object) -> list[Violation]:
    return road.drive(where, path, **facts)


def test_driving_against_the_arrow_is_reported_once_and_goes_to_an_officer() -> None:
    (case,) = drive(straight(0, 90, -30))
    assert (case.kind, case.rule, case.outcome, case.measurement) == ("wrong_way", "oneway", "officer", None)
    assert any(reason.code == "law_unverified" for reason in case.reasons)
    assert case.ended_s - case.began_s >= WRONG_WAY.at_least_s
    first, last = case.sightings[0].position_m, case.sightings[-1].position_m
    assert first[1] - last[1] >= WRONG_WAY.at_least_m


def test_the_innocent_twin_along_the_arrow_is_not_reported() -> None:
    assert drive(straight(0, 20, 30)) == []


def test_turning_the_arrow_turns_the_verdict() -> None:
    other = site(msgspec.structs.replace(WRONG_WAY, direction_px=(project(0, 60), project(0, 30))))
    assert drive(straight(0, 90, -30), other) == []
    assert len(drive(straight(0, 20, 30), other)) == 1


def test_driving_against_the_arrow_in_front_of_the_zone_is_not_reported() -> None:
    far_only = site(msgspec.structs.replace(WRONG_WAY, zone="far"))
    assert drive(straight(0, 58, -20), far_only) == []
    assert len(drive(straight(0, 100, -20), far_only)) == 1


def test_the_instant_of_coming_into_the_zone_lies_between_the_frames() -> None:
    back = msgspec.structs.replace(WRONG_WAY, zone="far", direction_px=(project(0, 60), project(0, 30)))
    exact = drive(straight(0, 58, 30), site(back), noise_px=0.0)
    assert exact[0].instants["zone"] == pytest.approx(NOON_S + 2 / (30 / KMH), abs=0.02)


@pytest.mark.parametrize("y", [20, 50, 90])
def test_a_parked_vehicle_whose_box_jitters_is_not_reported(y: float) -> None:
    assert drive(still(3, y), noise_px=4.0, lasts_s=60.0) == []


@pytest.mark.parametrize("seed", range(4))
def test_a_parked_vehicle_whose_box_wanders_is_not_reported(seed: int) -> None:
    """A detector's errors are alike for a while: an Ornstein-Uhlenbeck wander of half a second, 6 px."""
    rng, wander = np.random.default_rng(seed), [0.0]
    for push in rng.normal(0, 6.0, 480):
        wander.append(0.78 * wander[-1] + 0.63 * push)

    def wanders(t: float, box: np.ndarray) -> np.ndarray:
        return box + np.array([0.0, 1.0, 0.0, 1.0]) * wander[round(t * 8)]

    assert drive(still(3, 60), box_of=wanders, lasts_s=60.0) == []


def test_backing_up_shorter_than_the_rule_asks_is_not_reported() -> None:
    def backs(metres: float) -> Trajectory:
        return lambda t: (0, 40 - min(metres, max(0.0, t - 3) * 2))

    assert drive(backs(5), lasts_s=20.0) == []
    assert len(drive(backs(15), lasts_s=20.0)) == 1


def test_a_rule_that_asks_for_a_longer_way_is_not_broken_by_a_shorter_one() -> None:
    for at_least_m, cases in ((15.0, 1), (40.0, 0)):
        rule = msgspec.structs.replace(WRONG_WAY, at_least_m=at_least_m)
        assert len(drive(lambda t: (0, 60 - min(30.0, 10 * t)), site(rule))) == cases


def test_reversing_after_a_legal_drive_is_reported() -> None:
    def out_and_back(t: float) -> tuple[float, float]:
        return (0, 20 + 8 * t) if t < 6 else (0, 68 - 6 * (t - 6))

    (case,) = drive(out_and_back, lasts_s=11.0)
    assert case.began_s >= NOON_S + 5.5


def test_a_shorter_time_than_the_rule_asks_is_not_reported() -> None:
    patient = site(msgspec.structs.replace(WRONG_WAY, at_least_s=3.0))
    assert drive(straight(0, 60, -36), patient, end_s=2.0) == []
    assert len(drive(straight(0, 60, -36), end_s=2.0)) == 1


def test_crossing_the_road_is_not_against_the_arrow() -> None:
    assert drive(lambda t: (-5 + 2.5 * t, 40), lasts_s=4.0) == []
    assert drive(lambda t: (-5 + 2.5 * t, 40 - 1.0 * t), lasts_s=4.0) == []


def test_a_track_that_jumps_to_a_vehicle_behind_is_not_reported() -> None:
    assert drive(lambda t: (0, 70 if t < 4 else 40)) == []
    assert drive(lambda t: (0, 20 + 5 * t if t < 4 else 15 + 5 * (t - 4))) == []


def test_a_standing_vehicle_whose_wheels_come_into_sight_is_not_reported() -> None:
    """What hid its lower half drives off slowly: the lower edge sinks in the picture, the upper one stays."""

    def revealed(t: float, box: np.ndarray) -> np.ndarray:
        hidden = 0.5 * (1 - min(1.0, t / 4))
        return np.array([box[0], box[1], box[2], box[3] - hidden * (box[3] - box[1])])

    assert drive(still(0, 50), box_of=revealed) == []


def test_single_false_boxes_do_not_convict_and_do_not_acquit() -> None:
    def spoiled(t: float, box: np.ndarray) -> np.ndarray:
        return box + np.array([0, 60, 0, 60]) if round(t * 8) % 9 == 0 else box

    assert drive(still(0, 50), box_of=spoiled, lasts_s=30.0) == []
    assert len(drive(straight(0, 90, -30), box_of=spoiled)) == 1


def test_time_that_is_not_trusted_proves_nothing() -> None:
    assert drive(straight(0, 90, -30), clock_of=lambda t: Clock.UNSTABLE) == []
    (case,) = drive(straight(0, 90, -30), clock_of=lambda t: Clock.UNSTABLE if t < 3 else Clock.SYNCHRONISED)
    assert case.began_s > NOON_S + 2.9


def test_a_bicycle_is_reported_only_where_the_rule_names_it() -> None:
    assert drive(straight(0, 90, -20), class_of=lambda t: VehicleClass.BICYCLE) == []
    named = site(msgspec.structs.replace(WRONG_WAY, classes=("bicycle",)))
    assert len(drive(straight(0, 90, -20), named, class_of=lambda t: VehicleClass.BICYCLE)) == 1


def test_the_rule_sleeps_outside_its_hours() -> None:
    assert drive(straight(0, 90, -30), site(msgspec.structs.replace(WRONG_WAY, hours="13:00-15:00"))) == []


def test_two_zones_driven_through_are_one_offence() -> None:
    two = site(WRONG_WAY, msgspec.structs.replace(WRONG_WAY, name="far-oneway", zone="far"))
    assert len(drive(straight(0, 100, -30), two)) == 1


def test_trucks_are_reported_like_cars() -> None:
    assert len(drive(straight(0, 90, -30), size_m=(2.5, 12, 3.8), class_of=lambda t: VehicleClass.TRUCK)) == 1


def test_an_arrow_through_the_horizon_is_refused_at_load() -> None:
    into_the_sky = site(msgspec.structs.replace(WRONG_WAY, direction_px=((640, 400), (640, 20))))
    with pytest.raises(ConfigError, match=r"rule oneway: direction_px crosses the horizon"):
        SiteRulebook({0: into_the_sky}, {0: "cam"}, KZ)


def test_a_law_abiding_road_full_of_noise_gives_no_case() -> None:
    rng = np.random.default_rng(3)
    vehicles = [
        Vehicle(track=n, path=straight(rng.uniform(-5, 5), 15, kmh), begin_s=0, end_s=90 / (kmh / KMH))
        for n, kmh in enumerate(rng.uniform(5, 60, 60))
    ]
    assert judged(ONE_WAY, *vehicles, lasts_s=30.0, noise_px=2.5) == []


TWINS = (
    Twins(
        name="against the arrow",
        fact="drives along the arrow",
        rule=WRONG_WAY,
        guilty=single(straight(0, 90, -40)),
        innocent=single(straight(0, 16, 40)),
        outcome="officer",
    ),
)
