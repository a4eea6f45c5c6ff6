"""Turning where it is forbidden, turning about, reversing; and what only looks like it."""

from __future__ import annotations

import functools
import math

import msgspec
import numpy as np
import pytest

from engine.rules.kinds.prohibited_turn import TurnRule
from engine.types import VehicleClass
from tests.support import road
from tests.support.road import Trajectory, Vehicle, along, still, straight
from tests.support.twins import Twins, single

drive = functools.partial(road.drive, lasts_s=16.0)
NO_LEFT = TurnRule(name="no-left", zone="approach", exits=("left",))
NO_U_TURN = TurnRule(name="no-about", zone="square", manoeuvre="u_turn")
NO_REVERSING = TurnRule(name="no-back", zone="square", manoeuvre="reversing")
manoeuvres = pytest.mark.parametrize("rule", [NO_U_TURN, NO_REVERSING], ids=lambda rule: rule.name)


TURNS_LEFT = along((3, 16), (3, 44), (-2, 54), (-40, 54), kmh=25)


def u_turn(radius_m: float = 5.0, at_m: float = 40.0, until_deg: float = 180.0) -> Trajectory:
    """Up the right side, round to the left, and on in the new direction."""
    middle, arc_m, v = radius_m / 2, math.radians(until_deg) * radius_m, 6.0

    def path(t: float) -> tuple[float, float]:
        done = v * t - (at_m - 18)
        if done <= 0:
            return middle + radius_m / 2, at_m + done
        angle = min(done, arc_m) / radius_m
        x, y = middle - radius_m / 2 + radius_m * math.cos(angle), at_m + radius_m * math.sin(angle)
        rest = max(0.0, done - arc_m)
        return x - rest * math.sin(angle), y + rest * math.cos(angle)

    return path


def forth_and_back(forth_m: float, back_m: float, x: float = 2.0, y: float = 30.0) -> Trajectory:
    return lambda t: (x, y + min(forth_m, 5 * t) - min(back_m, max(0.0, 2.5 * (t - forth_m / 5 - 1))))


def test_a_forbidden_turn_is_reported_and_going_straight_on_is_not() -> None:
    (case,) = drive(NO_LEFT, TURNS_LEFT)
    assert (case.kind, case.rule, case.article) == ("prohibited_turn", "no-left", "595")
    assert case.instants["entry"] < case.instants["exit"] == case.decisive_s
    assert any(reason.code == "law_unverified" for reason in case.reasons)
    assert drive(NO_LEFT, straight(3, 16, 25)) == []


def test_coming_from_elsewhere_the_same_exit_is_open() -> None:
    assert drive(NO_LEFT, along((-4, 16), (-4, 44), (-6, 54), (-40, 54), kmh=25)) == []


def test_coming_out_of_the_exit_is_not_turning_into_it() -> None:
    assert drive(NO_LEFT, along((-20, 54), (-2, 54), (3, 44), (3, 14), kmh=25)) == []


def test_an_exit_reached_too_late_is_another_errand() -> None:
    assert drive(msgspec.structs.replace(NO_LEFT, within_s=1.0), TURNS_LEFT) == []


def test_an_exit_that_is_only_touched_is_not_reached() -> None:
    assert drive(msgspec.structs.replace(NO_LEFT, exits=("strip",)), straight(3, 16, 40)) == []
    assert len(drive(msgspec.structs.replace(NO_LEFT, exits=("street",)), straight(3, 16, 40))) == 1


def test_a_false_box_in_the_exit_is_no_turn() -> None:
    there = Vehicle(track=1, path=still(-14, 54)).box(0.0)

    def astray(t: float, box: np.ndarray) -> np.ndarray:
        return there if 3.2 < t < 3.45 else box

    assert drive(NO_LEFT, straight(3, 16, 25), box_of=astray) == []


def test_turning_about_is_reported_and_turning_off_is_not() -> None:
    (case,) = drive(NO_U_TURN, u_turn())
    assert (case.kind, case.rule) == ("prohibited_turn", "no-about")
    assert case.instants["approach"] < case.instants["turning"] < case.instants["turned"] < case.instants["proved"]
    assert drive(NO_U_TURN, u_turn(until_deg=90.0)) == []
    assert drive(NO_U_TURN, straight(3, 16, 25)) == []


def test_turning_about_outside_the_zone_is_not_reported() -> None:
    assert drive(msgspec.structs.replace(NO_U_TURN, zone="approach"), u_turn(at_m=50.0)) == []


def test_a_u_turn_is_not_reversing_and_reversing_is_no_u_turn() -> None:
    assert drive(NO_REVERSING, u_turn()) == []
    assert drive(NO_U_TURN, forth_and_back(20, 14)) == []


def test_reversing_after_driving_forwards_is_reported_and_driving_on_is_not() -> None:
    (case,) = drive(NO_REVERSING, forth_and_back(20, 14))
    assert (case.kind, case.rule) == ("prohibited_turn", "no-back")
    assert case.instants["approach"] < case.instants["turning"] < case.instants["proved"]
    assert drive(NO_REVERSING, forth_and_back(20, 0)) == []


def test_a_short_way_back_is_parking() -> None:
    assert drive(NO_REVERSING, forth_and_back(20, 4)) == []


def test_a_vehicle_that_was_not_seen_to_drive_forwards_may_have_turned_its_front() -> None:
    assert drive(NO_REVERSING, straight(2, 60, -15)) == []
    assert drive(NO_REVERSING, forth_and_back(4.6, 11, y=25.0)) == []
    assert len(drive(NO_REVERSING, forth_and_back(9, 11, y=25.0))) == 1


@manoeuvres
@pytest.mark.parametrize("noise_px", [2.0, 4.0])
def test_a_parked_vehicle_whose_box_jitters_has_not_turned(rule: TurnRule, noise_px: float) -> None:
    for y in (25, 45, 70):
        assert drive(rule, still(3, y), lasts_s=60.0, noise_px=noise_px) == []


@manoeuvres
def test_a_vehicle_that_halts_while_its_lower_part_is_hidden_has_not_turned(rule: TurnRule) -> None:
    def hidden(t: float, box: np.ndarray) -> np.ndarray:
        share = 0.6 * min(1.0, max(0.0, (t - 6) / 3))
        return np.array([box[0], box[1], box[2], box[3] - share * (box[3] - box[1])])

    assert drive(rule, lambda t: (2, 60 - min(35.0, 7 * t)), box_of=hidden) == []


@manoeuvres
def test_a_track_that_jumps_between_opposite_lanes_has_not_turned(rule: TurnRule) -> None:
    assert drive(rule, lambda t: (3, 20 + 8 * t) if t < 3 else (-3, 50 - 8 * (t - 3)), lasts_s=7.0) == []


@pytest.mark.parametrize(("rule", "path"), [(NO_LEFT, TURNS_LEFT), (NO_U_TURN, u_turn())])
def test_bicycles_and_persons_are_never_reported(rule: TurnRule, path: Trajectory) -> None:
    for class_id in (VehicleClass.BICYCLE, VehicleClass.PERSON):
        assert drive(rule, path, class_of=lambda t, c=class_id: c) == []


TWINS = (
    Twins(
        name="turn",
        fact="goes straight on",
        rule=NO_LEFT,
        guilty=single(TURNS_LEFT),
        innocent=single(straight(3, 16, 25)),
    ),
    Twins(
        name="u_turn",
        fact="turns off, not about",
        rule=NO_U_TURN,
        guilty=single(u_turn()),
        innocent=single(u_turn(until_deg=90.0)),
        lasts_s=12.0,
    ),
    Twins(
        name="reversing",
        fact="backs up 3 m, as into a parking space",
        rule=NO_REVERSING,
        guilty=single(forth_and_back(20, 14, y=24)),
        innocent=single(forth_and_back(20, 3, y=24)),
        lasts_s=12.0,
    ),
)
