"""Overtaking over the oncoming side, and driving on a closed part of the carriageway."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from engine.errors import ConfigError
from engine.rules import SiteRulebook
from engine.rules.kinds.overtaking_or_position import OvertakingRule
from engine.types import VehicleClass
from tests.rules.kinds.test_oncoming_lane import NO_ONCOMING
from tests.support.road import BESIDE, INSIDE, KZ, Trajectory, Vehicle, along, drive, drive_in, judged, scene, straight
from tests.support.twins import AHEAD, SLOW, STANDS, Twins, single
from tests.support.world import Traffic

NO_OVERTAKING = OvertakingRule(
    name="no-overtaking", zone="other", own_zone="own", manoeuvre="overtaking", direction_px=AHEAD
)


def passes(back: bool = True) -> Trajectory:
    """Behind the slow one at first, past it on the oncoming side, before it at the end."""
    out = [(3, 16), (3, 26), (-3, 38), (-3, 68)]
    return along(*out, *([(3, 80), (3, 200)] if back else [(-3, 200)]), kmh=55)


def test_overtaking_by_way_of_the_oncoming_side_is_reported_and_staying_behind_is_not() -> None:
    (case,) = drive(NO_OVERTAKING, passes(), SLOW)
    assert (case.kind, case.track, case.article) == ("overtaking_or_position", 1, "596 p.2")
    instants = case.instants
    assert instants["behind"] < instants["out"] < instants["level"] < instants["back"]
    assert case.decisive_s == instants["level"]
    assert drive(NO_OVERTAKING, straight(3, 16, 25), SLOW) == []


def test_passing_one_that_stands_is_not_overtaking() -> None:
    assert drive(NO_OVERTAKING, passes(), STANDS) == []


def test_going_out_and_falling_back_again_is_not_overtaking() -> None:
    tries = along((3, 16), (3, 20), (-3, 26), (-3, 40), (3, 46), (3, 200), kmh=25)
    assert drive(NO_OVERTAKING, tries, SLOW) == []


def test_meeting_one_that_comes_the_other_way_is_not_overtaking() -> None:
    assert drive(NO_OVERTAKING, passes(), Vehicle(track=2, path=straight(3, 90, -30))) == []


def test_overtaking_on_the_own_side_is_not_reported() -> None:
    assert drive(NO_OVERTAKING, straight(0.5, 16, 55), Vehicle(track=2, path=straight(4.5, 34, 25))) == []


def test_a_vehicle_that_does_not_come_back_has_not_been_seen_to_overtake() -> None:
    assert drive(NO_OVERTAKING, passes(back=False), SLOW) == []


def test_two_that_change_places_by_a_switch_of_tracks_are_not_reported() -> None:
    ahead, behind = straight(3, 34, 25), straight(3, 16, 25)
    swapped = lambda t: ahead(t) if t > 3 else behind(t)  # noqa: E731
    other = Vehicle(track=2, path=lambda t: behind(t) if t > 3 else ahead(t))
    assert drive(NO_OVERTAKING, swapped, other) == []


@pytest.mark.parametrize("rule", [NO_ONCOMING, NO_OVERTAKING], ids=lambda rule: rule.name)
def test_bicycles_and_persons_are_never_reported(rule: object) -> None:
    for class_id in (VehicleClass.BICYCLE, VehicleClass.PERSON):
        assert drive(rule, passes(), SLOW, class_of=lambda t, c=class_id: c) == []


@pytest.mark.parametrize("rule", [NO_ONCOMING, NO_OVERTAKING], ids=lambda rule: rule.name)
def test_an_arrow_through_the_horizon_is_refused_at_load(rule: object) -> None:
    sky = scene(msgspec.structs.replace(rule, direction_px=((640, 400), (640, 20))))
    with pytest.raises(ConfigError, match="direction_px crosses the horizon"):
        SiteRulebook({0: sky}, {0: "cam"}, KZ)


def test_a_lawful_two_way_road_full_of_noise_gives_no_case() -> None:
    rng = np.random.default_rng(6)
    vehicles = []
    for n in range(40):
        kmh, begin_s = rng.uniform(20, 60), rng.uniform(0, 20)
        x, y, v = (3, 15, kmh) if n % 2 else (-3, 108, -kmh)
        path = lambda t, x=x, y=y, v=v, b=begin_s: (x, y + v / 3.6 * (t - b))  # noqa: E731
        vehicles.append(Vehicle(track=n, path=path, begin_s=begin_s, end_s=begin_s + 90 / (kmh / 3.6)))
    assert judged(scene(NO_ONCOMING, NO_OVERTAKING), *vehicles, lasts_s=30.0, noise_px=2.0) == []


ISLAND = OvertakingRule(name="island", zone="lane", manoeuvre="position")


def test_driving_on_the_closed_part_of_the_carriageway_is_reported() -> None:
    (case,) = drive_in(ISLAND, straight(INSIDE, 20, 40))
    assert (case.kind, case.article) == ("overtaking_or_position", "596 p.2")
    assert drive_in(ISLAND, straight(BESIDE, 20, 40)) == []


TWINS = (
    Twins(
        name="overtaking",
        fact="passes one that stands",
        rule=NO_OVERTAKING,
        guilty=Traffic([Vehicle(track=1, path=passes()), SLOW]),
        innocent=Traffic([Vehicle(track=1, path=passes()), STANDS]),
    ),
    Twins(
        name="position",
        fact="drives beside the closed part",
        rule=ISLAND,
        guilty=single(straight(4.2, 18, 40)),
        innocent=single(straight(0, 18, 40)),
    ),
)
