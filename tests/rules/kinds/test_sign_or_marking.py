"""Solid lines, no-entry signs, and lanes before a junction."""

from __future__ import annotations

import functools

import msgspec
import numpy as np
import pytest

from engine.errors import ConfigError
from engine.rules import SiteRulebook
from engine.rules.kinds.sign_or_marking import MarkingRule
from engine.site import Line
from engine.types import Clock, VehicleClass
from tests.support import road
from tests.support.road import BESIDE, INSIDE, KZ, NOON_S, Trajectory, Vehicle, along, project, scene, still, straight
from tests.support.twins import STANDS, Twins, single
from tests.support.world import Traffic

SOLID = MarkingRule(name="solid", zone="road", sign="solid_line", line="middle")
"""The line leads away from the camera: what is right of it in the picture is right of the road."""
WRONG_LANE = MarkingRule(name="lane", zone="left-lane", sign="wrong_lane", line="stop", exits=("right",))
NO_ENTRY = MarkingRule(name="brick", zone="beyond", sign="no_entry")
SIGN = Line(name="sign", from_px=project(7, 40), to_px=project(2, 40))
"""Away from the camera is from its left to its right."""
RIGHT_FROM_LEFT = along((-3, 16), (-3, 44), (14, 58), (40, 60), kmh=25)
RIGHT_FROM_RIGHT = along((3, 16), (3, 44), (14, 58), (40, 60), kmh=25)
drive = functools.partial(road.drive, lasts_s=12.0)


def changes_lane(
    at_m: float, from_x: float = 2.5, to_x: float = -2.5, kmh: float = 40.0, over_m: float = 16.0
) -> Trajectory:
    return along((from_x, 16), (from_x, at_m), (to_x, at_m + over_m), (to_x, 200), kmh=kmh)


def test_crossing_the_solid_line_is_reported_and_keeping_beside_it_is_not() -> None:
    (case,) = drive(SOLID, changes_lane(35))
    assert (case.kind, case.rule, case.article, case.outcome) == ("sign_or_marking", "solid", "601 p.1", "fine")
    assert case.instants["before"] < case.instants["line"] < case.instants["after"]
    assert drive(SOLID, straight(2.5, 16, 40)) == []


def test_the_crossing_is_dated_between_the_frames() -> None:
    (case,) = drive(SOLID, changes_lane(35), noise_px=0.0)
    middle_m = 19 + np.hypot(5, 16) / 2
    assert case.decisive_s == pytest.approx(NOON_S + middle_m / (40 / 3.6), abs=0.06)


def test_crossing_where_the_line_has_ended_is_not_reported() -> None:
    assert drive(SOLID, changes_lane(72)) == []
    assert drive(SOLID, changes_lane(10, over_m=8.0)) == []


@pytest.mark.parametrize(("passing", "cases"), [("back", 1), ("forward", 0), ("both", 1)])
def test_a_broken_line_beside_it_opens_one_way(passing: str, cases: int) -> None:
    assert len(drive(msgspec.structs.replace(SOLID, passing=passing), changes_lane(35))) == cases
    back = changes_lane(35, from_x=-2.5, to_x=2.5)
    assert len(drive(msgspec.structs.replace(SOLID, passing=passing), back)) == (passing != "back")


def test_passing_a_standing_vehicle_excuses_and_passing_a_moving_one_does_not() -> None:
    stands = Vehicle(track=2, path=still(2.5, 52))
    moves = Vehicle(track=2, path=straight(2.5, 45, 20))
    assert drive(SOLID, changes_lane(35), stands) == []
    assert len(drive(SOLID, changes_lane(35), moves)) == 1


def test_coming_back_after_the_obstacle_is_excused_too() -> None:
    passes = along((2.5, 16), (2.5, 24), (-2.5, 34), (-2.5, 46), (2.5, 58), (2.5, 200), kmh=40)
    assert drive(SOLID, passes, Vehicle(track=2, path=still(2.5, 42))) == []
    assert len(drive(SOLID, passes)) == 1


def test_a_standing_vehicle_far_away_is_no_excuse() -> None:
    assert len(drive(SOLID, changes_lane(28), Vehicle(track=2, path=still(2.5, 100)))) == 1


def test_touching_the_line_with_a_wheel_is_not_reported() -> None:
    weaves = along((2.0, 16), (2.0, 30), (-0.35, 38), (-0.35, 46), (2.0, 54), (2.0, 200), kmh=40)
    assert drive(SOLID, weaves) == []


def test_a_vehicle_whose_box_jitters_about_the_line_is_not_reported() -> None:
    assert drive(SOLID, straight(0.4, 16, 30), noise_px=2.5) == []


def test_a_track_that_jumps_to_its_neighbour_is_not_reported() -> None:
    assert drive(SOLID, lambda t: (2.5 if t < 2.5 else -2.5, 16 + 10 * t)) == []


def test_a_vehicle_that_stands_on_the_line_while_its_box_wanders_is_not_reported() -> None:
    rng, wander = np.random.default_rng(3), [0.0]
    for push in rng.normal(0, 8.0, 400):
        wander.append(0.78 * wander[-1] + 0.63 * push)

    def wanders(t: float, box: np.ndarray) -> np.ndarray:
        return box + np.array([1.0, 0.0, 1.0, 0.0]) * wander[round(t * 8)]

    assert drive(SOLID, still(0.3, 40), box_of=wanders, lasts_s=40.0) == []


def test_time_that_is_not_trusted_proves_no_crossing() -> None:
    assert drive(SOLID, changes_lane(35), clock_of=lambda t: Clock.UNSTABLE) == []


def test_leaving_a_lane_by_an_exit_it_does_not_lead_to_is_reported() -> None:
    (case,) = drive(WRONG_LANE, RIGHT_FROM_LEFT)
    assert (case.kind, case.rule) == ("sign_or_marking", "lane")
    assert case.instants["lane_end"] < case.instants["exit"] == case.decisive_s
    assert drive(WRONG_LANE, RIGHT_FROM_RIGHT) == []


def test_going_straight_on_from_the_lane_is_not_reported() -> None:
    assert drive(WRONG_LANE, straight(-3, 16, 30)) == []


def test_a_vehicle_that_left_the_lane_before_its_end_is_not_reported() -> None:
    changed = along((-3, 16), (-3, 20), (3, 30), (3, 46), (14, 58), (30, 60), kmh=25)
    assert drive(WRONG_LANE, changed, lasts_s=14.0) == []


def test_a_vehicle_that_comes_back_through_the_lane_is_not_reported() -> None:
    back = along((14, 58), (3, 50), (-3, 44), (-3, 16), kmh=25)
    assert drive(WRONG_LANE, back, lasts_s=8.0) == []


def test_an_exit_reached_too_late_belongs_to_another_way() -> None:
    stays = msgspec.structs.replace(WRONG_LANE, within_s=1.0)
    assert drive(stays, RIGHT_FROM_LEFT) == []


@pytest.mark.parametrize("rule", [SOLID, WRONG_LANE], ids=lambda rule: rule.name)
def test_bicycles_and_persons_are_never_reported(rule: MarkingRule) -> None:
    path = changes_lane(35) if rule is SOLID else RIGHT_FROM_LEFT
    for class_id in (VehicleClass.BICYCLE, VehicleClass.PERSON):
        assert drive(rule, path, class_of=lambda t, c=class_id: c) == []


def test_a_line_in_the_sky_is_refused_at_load() -> None:
    sky = Line(name="middle", from_px=(640, 500), to_px=(640, 10))
    with pytest.raises(ConfigError, match="rule solid: line middle crosses the horizon"):
        SiteRulebook({0: scene(SOLID, lines=(sky,))}, {0: "cam"}, KZ)


def test_coming_in_where_there_is_no_entry_is_reported_and_staying_out_is_not() -> None:
    (case,) = drive(NO_ENTRY, straight(INSIDE, 18, 40))
    assert (case.kind, case.rule, case.outcome) == ("sign_or_marking", "brick", "fine")
    assert case.instants["entry"] == pytest.approx(NOON_S + 22 / (40 / 3.6), abs=0.2)
    assert drive(NO_ENTRY, straight(BESIDE, 18, 40)) == []


def test_a_vehicle_that_was_there_already_has_not_come_in() -> None:
    assert drive(NO_ENTRY, straight(INSIDE, 45, 30)) == []


def test_a_vehicle_that_turns_back_at_once_is_not_reported() -> None:
    assert drive(NO_ENTRY, lambda t: (INSIDE, 30 + min(13.0, 4 * t) - max(0.0, 4 * (t - 5)))) == []


def test_the_sign_holds_only_if_it_is_passed_forward() -> None:
    rule = msgspec.structs.replace(NO_ENTRY, line="sign")
    turned = Line(name="sign", from_px=SIGN.to_px, to_px=SIGN.from_px)
    elsewhere = Line(name="sign", from_px=project(-7, 40), to_px=project(-9, 40))
    for line, cases in ((SIGN, 1), (turned, 0), (elsewhere, 0)):
        assert len(drive(scene(rule, lines=(line,)), straight(INSIDE, 18, 40))) == cases


TWINS = (
    Twins(
        name="solid line",
        fact="a vehicle stands in the way and is passed",
        rule=SOLID,
        guilty=single(changes_lane(35)),
        innocent=Traffic([Vehicle(track=1, path=changes_lane(35)), STANDS]),
    ),
    Twins(
        name="no entry",
        fact="stays beside the entry",
        rule=NO_ENTRY,
        guilty=single(straight(4.2, 18, 40)),
        innocent=single(straight(0, 18, 40)),
    ),
    Twins(
        name="wrong lane",
        fact="takes the right lane for the right exit",
        rule=WRONG_LANE,
        guilty=single(RIGHT_FROM_LEFT),
        innocent=single(RIGHT_FROM_RIGHT),
    ),
)
