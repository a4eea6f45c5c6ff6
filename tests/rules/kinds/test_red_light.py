"""Running a red light; a doubtful phase proves nothing."""

from __future__ import annotations

import msgspec
import pytest

from engine.rules import SiteRulebook
from engine.rules.kinds.red_light import RedLightRule
from engine.signals import Report
from engine.types import Clock, Phase, VehicleClass
from tests.support.junction import (
    CROSSED_S,
    GREEN,
    JUNCTION,
    LINE_M,
    RED,
    RED_LIGHT,
    STOP_LINE,
    book,
    drive,
    junction,
    runner,
    stops_at,
)
from tests.support.road import KMH, KZ, LORRY_M, NOON_S, Drive, Trajectory, Vehicle, judged, straight
from tests.support.twins import MAIN_GREEN, MAIN_RED, Twins, single


def test_running_the_red_light_is_reported_once_with_its_instants() -> None:
    (case,) = drive(JUNCTION, runner(), RED)
    assert (case.kind, case.rule, case.article, case.outcome) == ("red_light", "red", "599 p.1", "fine")
    assert list(case.instants) == ["before", "line", "through"]
    assert case.instants["before"] < NOON_S + CROSSED_S < case.instants["line"] < case.instants["through"]
    assert NOON_S + CROSSED_S - case.instants["before"] == pytest.approx(0.4 + 1.6 / (50 / KMH), abs=0.1)
    first, last = case.sightings[0].captured_s, case.sightings[-1].captured_s
    assert all(first <= at_s <= last for at_s in case.instants.values())


@pytest.mark.parametrize(
    "main",
    [
        GREEN,
        [(Phase.RED, -20.0), (Phase.AMBER, -5.0)],
        [(Phase.RED, -20.0), (Phase.AMBER_FLASHING, -5.0)],
        [(Phase.RED, -20.0), (Phase.GREEN_FLASHING, -5.0)],
        [(Phase.DARK, -20.0)],
        [(Phase.UNKNOWN, -20.0)],
        [],
    ],
    ids=["green", "amber", "flashing amber", "flashing green", "dark", "unknown", "never reported"],
)
def test_the_innocent_twin_crosses_on_anything_else(main: list[tuple[Phase, float]]) -> None:
    assert drive(JUNCTION, runner(), main) == []


def test_red_with_amber_and_flashing_red_prohibit_too() -> None:
    assert len(drive(JUNCTION, runner(), [(Phase.RED, -5.0), (Phase.RED_AMBER, CROSSED_S - 0.4)])) == 1
    assert len(drive(JUNCTION, runner(), [(Phase.RED_FLASHING, -5.0)])) == 1


@pytest.mark.parametrize(("began_s", "cases"), [(-2.0, 1), (-0.8, 0), (-0.1, 0), (0.2, 0)])
def test_a_red_that_began_only_just_before_the_crossing_is_in_favour_of_the_driver(began_s: float, cases: int) -> None:
    assert len(drive(JUNCTION, runner(), [(Phase.AMBER, -9.0), (Phase.RED, CROSSED_S + began_s)])) == cases


def test_the_grace_is_the_rules() -> None:
    late_red = [(Phase.AMBER, -9.0), (Phase.RED, CROSSED_S - 2.0)]
    assert len(drive(JUNCTION, runner(), late_red)) == 1
    assert drive(junction(msgspec.structs.replace(RED_LIGHT, grace_s=2.5)), runner(), late_red) == []


def test_a_red_that_ended_with_the_crossing_is_no_offence() -> None:
    assert drive(JUNCTION, runner(), [(Phase.RED, -9.0), (Phase.GREEN, CROSSED_S)]) == []


def test_a_vehicle_that_waits_before_the_line_and_goes_on_green_is_innocent() -> None:
    def waits(t: float) -> tuple[float, float]:
        return 0, min(34.5, 17 + 10 * t) + max(0.0, t - 6) * 8

    assert drive(JUNCTION, waits, [(Phase.RED, -9.0), (Phase.GREEN, 5.5)], lasts_s=12.0) == []
    assert len(drive(JUNCTION, waits, [(Phase.RED, -9.0)], lasts_s=12.0)) == 1


def test_a_vehicle_that_was_past_the_line_when_red_came_is_innocent() -> None:
    def in_the_middle(t: float) -> tuple[float, float]:
        return 0, 37 + max(0.0, t - 3) * 6

    assert drive(JUNCTION, in_the_middle, RED) == []
    assert drive(JUNCTION, stops_at(38.0), [(Phase.GREEN, -9.0), (Phase.RED, 4.0)], lasts_s=10.0) == []


def test_a_vehicle_that_stops_before_the_line_is_innocent() -> None:
    assert drive(JUNCTION, stops_at(34.0), RED) == []


def test_a_vehicle_that_turns_off_beside_the_line_is_innocent() -> None:
    assert drive(JUNCTION, lambda t: (0 + max(0.0, t - 1) * 9, 17 + 10 * t), RED) == []


def test_a_vehicle_that_passes_beside_the_end_of_the_line_is_innocent() -> None:
    assert len(drive(JUNCTION, runner(x=5.0), RED)) == 1
    assert drive(JUNCTION, runner(x=9.0), RED) == []


def test_a_vehicle_that_drives_the_other_way_over_the_line_is_innocent() -> None:
    assert drive(JUNCTION, straight(0, 80, -50), RED) == []


def test_a_vehicle_that_comes_towards_the_camera_shows_its_front() -> None:
    nearer = junction(msgspec.structs.replace(RED_LIGHT, line="towards", zone="nearer"))
    (case,) = drive(nearer, straight(0, 80, -50), RED)
    crossed_s = (80 - LINE_M) / (50 / KMH)
    assert case.instants["before"] <= NOON_S + crossed_s <= case.instants["line"]
    assert case.instants["line"] - case.instants["before"] == pytest.approx(0.4 + 0.6 / (50 / KMH), abs=0.1)
    assert drive(nearer, straight(0, 80, -50), [(Phase.GREEN, -9), (Phase.RED, crossed_s - 0.4)]) == []
    assert len(drive(nearer, straight(0, 80, -50), [(Phase.GREEN, -9), (Phase.RED, crossed_s - 1.0)])) == 1


def test_of_a_lorry_the_front_may_be_far_ahead() -> None:
    lorry = {"size_m": LORRY_M, "class_of": lambda t: VehicleClass.TRUCK}
    assert len(drive(JUNCTION, runner(), [(Phase.GREEN, -9), (Phase.RED, -2.0)], **lorry)) == 1
    assert drive(JUNCTION, runner(), [(Phase.GREEN, -9), (Phase.RED, CROSSED_S - 1.0)], **lorry) == []


def test_an_arrow_section_that_is_green_or_unknown_acquits() -> None:
    turning = junction(msgspec.structs.replace(RED_LIGHT, unless=("arrow",)))
    dark = {"arrow": [(Phase.DARK, -20.0)]}
    assert len(drive(turning, runner(), RED, others=dark)) == 1
    assert drive(turning, runner(), RED, others={"arrow": [(Phase.GREEN, -20.0)]}) == []
    assert drive(turning, runner(), RED, others={"arrow": []}) == []
    assert drive(turning, runner(), RED, others={"arrow": [(Phase.DARK, -20.0), (Phase.GREEN, CROSSED_S)]}) == []


def test_without_a_trusted_time_there_is_no_offence() -> None:
    assert drive(JUNCTION, runner(), RED, clock_of=lambda t: Clock.UNSTABLE) == []
    assert drive(JUNCTION, runner(), RED, clock_of=lambda t: Clock.UNSTABLE if t < 1.5 else Clock.SYNCHRONISED) == []


def test_a_phase_that_is_known_only_later_is_waited_for() -> None:
    signals = book(JUNCTION, {"main": RED}, until_s=0.5)
    vehicle = Vehicle(track=1, path=runner())
    rulebook = SiteRulebook({0: JUNCTION}, {0: "cam"}, KZ, signals=signals)
    reported = []
    for number, motion in enumerate(Drive(vehicles=[vehicle], lasts_s=6.0).batches()):
        if number == 3:
            signals.report(Report("c", 2, NOON_S + 30.0))
        reported.append(len(rulebook.judge(motion).found))
    assert reported[:3] == [0, 0, 0]
    assert sum(reported) == 1


@pytest.mark.parametrize("there", [(-4.0, 50.0), (-4.0, 43.0), (-2.0, 43.5), (0.0, 47.0)])
@pytest.mark.parametrize("speed_mps", [3.0, 14.0])
def test_a_track_that_jumps_from_a_waiting_vehicle_to_one_that_crosses_beyond_is_innocent(
    there: tuple[float, float], speed_mps: float
) -> None:
    def jumps(t: float) -> tuple[float, float]:
        return (0, min(34.0, 17 + 10 * t)) if t < 4 else (there[0] + speed_mps * (t - 4), there[1])

    assert drive(JUNCTION, jumps, RED) == []


@pytest.mark.parametrize("noise_px", [0.0, 2.0, 4.0])
def test_a_runner_who_starts_from_a_halt_is_reported_in_spite_of_noise(noise_px: float) -> None:
    def starts(t: float) -> tuple[float, float]:
        return 0, min(32.0, 17 + 10 * t) + 1.5 * max(0.0, t - 4) ** 2

    assert len(drive(JUNCTION, starts, RED, lasts_s=10.0, noise_px=noise_px)) == 1


def test_a_bicycle_is_reported_only_where_the_rule_names_it() -> None:
    bicycle = {"class_of": lambda t: VehicleClass.BICYCLE, "size_m": (0.6, 1.8, 1.7)}
    assert drive(JUNCTION, runner(25), RED, **bicycle) == []
    named = junction(msgspec.structs.replace(RED_LIGHT, classes=("bicycle",)))
    assert len(drive(named, runner(25), RED, **bicycle)) == 1


def test_the_rule_sleeps_outside_its_hours() -> None:
    assert drive(junction(msgspec.structs.replace(RED_LIGHT, hours="13:00-15:00")), runner(), RED) == []


@pytest.mark.parametrize("noise_px", [0.0, 2.0])
def test_a_queue_that_keeps_to_the_law_gives_no_case(noise_px: float) -> None:
    def queued(place: int) -> Trajectory:
        return lambda t: (0, min(34.5 - 7 * place, 17 - 7 * place + 8 * t) + max(0.0, t - 8 - 1.2 * place) * 8)

    where = junction(RED_LIGHT, STOP_LINE)
    signals = book(where, {"main": [(Phase.RED, -9.0), (Phase.RED_AMBER, 6.5), (Phase.GREEN, 7.5)]})
    vehicles = [Vehicle(track=place, path=queued(place), begin_s=0.4 * place) for place in range(3)]
    assert judged(where, *vehicles, signals=signals, lasts_s=20.0, noise_px=noise_px) == []


TWINS = (
    Twins(
        name="red",
        fact="the signal shows green",
        rule=RedLightRule(name="red", zone="junction", line="stop", signal=("main",)),
        guilty=single(straight(0, 17, 50)),
        phases=MAIN_RED,
        innocent_phases=MAIN_GREEN,
    ),
)
