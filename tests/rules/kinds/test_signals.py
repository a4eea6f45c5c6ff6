"""Rules about signals: guilty and innocent twins, the same scene with one fact changed; nobody on a doubt."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from engine.errors import ConfigError
from engine.rules import SiteRulebook, check_site
from engine.rules.evaluator import CameraContext
from engine.rules.path import RoadPlane
from engine.rules.signal_line import StopLine
from engine.signals import Report
from engine.site import Lamp, LensBend, Signal, Site
from engine.types import Clock, Phase, VehicleClass
from tests.support.junction import (
    BOX,
    CROSSED_S,
    GREEN,
    JUNCTION,
    LINE_M,
    RAIL,
    RED,
    RED_LIGHT,
    SIGNALS,
    STOP,
    STOP_LINE,
    book,
    drive,
    junction,
    runner,
    stops_at,
)
from tests.support.road import KMH, KZ, LORRY_M, NOON_S, Drive, Vehicle, Way, judged, still, straight

pytestmark = pytest.mark.numeric

# -- red_light


def test_running_the_red_light_is_told_once_with_its_instants() -> None:
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
    ids=["green", "amber", "flashing amber", "flashing green", "dark", "unknown", "never told"],
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


def test_a_red_that_ended_with_the_crossing_convicts_nobody() -> None:
    assert drive(JUNCTION, runner(), [(Phase.RED, -9.0), (Phase.GREEN, CROSSED_S)]) == []


def test_who_waits_before_the_line_and_goes_on_green_is_innocent() -> None:
    def waits(t: float) -> tuple[float, float]:
        return 0, min(34.5, 17 + 10 * t) + max(0.0, t - 6) * 8

    assert drive(JUNCTION, waits, [(Phase.RED, -9.0), (Phase.GREEN, 5.5)], lasts_s=12.0) == []
    assert len(drive(JUNCTION, waits, [(Phase.RED, -9.0)], lasts_s=12.0)) == 1


def test_who_was_past_the_line_when_red_came_is_innocent() -> None:
    def in_the_middle(t: float) -> tuple[float, float]:
        return 0, 37 + max(0.0, t - 3) * 6

    assert drive(JUNCTION, in_the_middle, RED) == []
    assert drive(JUNCTION, stops_at(38.0), [(Phase.GREEN, -9.0), (Phase.RED, 4.0)], lasts_s=10.0) == []


def test_who_stops_before_the_line_is_innocent() -> None:
    assert drive(JUNCTION, stops_at(34.0), RED) == []


def test_who_turns_off_beside_the_line_is_innocent() -> None:
    assert drive(JUNCTION, lambda t: (0 + max(0.0, t - 1) * 9, 17 + 10 * t), RED) == []


def test_who_passes_beside_the_end_of_the_line_is_innocent() -> None:
    assert len(drive(JUNCTION, runner(x=5.0), RED)) == 1
    assert drive(JUNCTION, runner(x=9.0), RED) == []


def test_who_drives_the_other_way_over_the_line_is_innocent() -> None:
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


def test_time_that_is_not_trusted_convicts_nobody() -> None:
    assert drive(JUNCTION, runner(), RED, clock_of=lambda t: Clock.UNSTABLE) == []
    assert drive(JUNCTION, runner(), RED, clock_of=lambda t: Clock.UNSTABLE if t < 1.5 else Clock.SYNCHRONISED) == []


def test_a_phase_that_is_known_only_later_is_waited_for() -> None:
    signals = book(JUNCTION, {"main": RED}, until_s=0.5)
    vehicle = Vehicle(track=1, way=runner())
    rulebook = SiteRulebook({0: JUNCTION}, {0: "cam"}, KZ, signals=signals)
    told = []
    for number, motion in enumerate(Drive(vehicles=[vehicle], lasts_s=6.0).batches()):
        if number == 3:
            signals.report(Report("c", 2, NOON_S + 30.0))
        told.append(len(rulebook.judge(motion).found))
    assert told[:3] == [0, 0, 0]
    assert sum(told) == 1


@pytest.mark.parametrize("there", [(-4.0, 50.0), (-4.0, 43.0), (-2.0, 43.5), (0.0, 47.0)])
@pytest.mark.parametrize("speed_mps", [3.0, 14.0])
def test_a_track_that_jumps_from_a_waiting_vehicle_to_one_that_crosses_beyond_is_innocent(
    there: tuple[float, float], speed_mps: float
) -> None:
    def jumps(t: float) -> tuple[float, float]:
        return (0, min(34.0, 17 + 10 * t)) if t < 4 else (there[0] + speed_mps * (t - 4), there[1])

    assert drive(JUNCTION, jumps, RED) == []


@pytest.mark.parametrize("noise_px", [0.0, 2.0, 4.0])
def test_a_runner_who_starts_from_a_halt_is_told_in_spite_of_noise(noise_px: float) -> None:
    def starts(t: float) -> tuple[float, float]:
        return 0, min(32.0, 17 + 10 * t) + 1.5 * max(0.0, t - 4) ** 2

    assert len(drive(JUNCTION, starts, RED, lasts_s=10.0, noise_px=noise_px)) == 1


def test_a_bicycle_is_told_only_where_the_rule_names_it() -> None:
    bicycle = {"class_of": lambda t: VehicleClass.BICYCLE, "size_m": (0.6, 1.8, 1.7)}
    assert drive(JUNCTION, runner(25), RED, **bicycle) == []
    named = junction(msgspec.structs.replace(RED_LIGHT, classes=("bicycle",)))
    assert len(drive(named, runner(25), RED, **bicycle)) == 1


def test_the_rule_sleeps_outside_its_hours() -> None:
    assert drive(junction(msgspec.structs.replace(RED_LIGHT, hours="13:00-15:00")), runner(), RED) == []


@pytest.mark.parametrize("noise_px", [0.0, 2.0])
def test_a_queue_that_keeps_to_the_law_gives_no_case(noise_px: float) -> None:
    def queued(place: int) -> Way:
        return lambda t: (0, min(34.5 - 7 * place, 17 - 7 * place + 8 * t) + max(0.0, t - 8 - 1.2 * place) * 8)

    where = junction(RED_LIGHT, STOP_LINE)
    signals = book(where, {"main": [(Phase.RED, -9.0), (Phase.RED_AMBER, 6.5), (Phase.GREEN, 7.5)]})
    vehicles = [Vehicle(track=place, way=queued(place), begin_s=0.4 * place) for place in range(3)]
    assert judged(where, *vehicles, signals=signals, lasts_s=20.0, noise_px=noise_px) == []


def test_a_line_through_the_horizon_is_refused() -> None:
    into_the_sky = msgspec.structs.replace(STOP, from_px=(640.0, 20.0))
    with pytest.raises(ConfigError, match="rule red: line stop crosses the horizon"):
        SiteRulebook({0: junction(RED_LIGHT, lines=(into_the_sky,))}, {0: "cam"}, KZ)


def test_a_bent_lens_is_taken_out_of_the_line() -> None:
    """The foot points on the ground are those of a straight lens, as the speedometer gives them."""
    bend = LensBend(focal_px=1000.0, centre_px=(640.0, 360.0), k1=-0.3)
    calibration = msgspec.structs.replace(JUNCTION.calibration, lens=bend)
    bent = msgspec.structs.replace(STOP, from_px=bent_px(STOP.from_px, bend), to_px=bent_px(STOP.to_px, bend))
    scenes = [
        CameraContext(0, msgspec.structs.replace(junction(RED_LIGHT, lines=(line,)), calibration=given), KZ)
        for line, given in ((bent, calibration), (STOP, JUNCTION.calibration))
    ]
    lines = [StopLine(scene, RED_LIGHT, RoadPlane(scene, RED_LIGHT)) for scene in scenes]
    places = np.array([[0.0, 30.0], [2.0, 40.0], [-3.0, 55.0]])
    np.testing.assert_allclose(lines[0].ahead_m(places), lines[1].ahead_m(places), atol=0.05)
    np.testing.assert_allclose(lines[1].ahead_m(places), places[:, 1] - LINE_M, atol=0.05)


def bent_px(point_px: tuple[float, float], bend: LensBend) -> tuple[float, float]:
    x, y = ((at - centre) / bend.focal_px for at, centre in zip(point_px, bend.centre_px, strict=True))
    stretch = 1 + bend.k1 * (x * x + y * y)
    return x * stretch * bend.focal_px + bend.centre_px[0], y * stretch * bend.focal_px + bend.centre_px[1]


def test_what_is_doubtful_about_signals_is_said() -> None:
    lens = Lamp(colour="green", centre_px=(100.0, 100.0), radius_px=2.0)
    near = msgspec.structs.replace(lens, colour="amber", centre_px=(103.0, 100.0))
    doubtful = msgspec.structs.replace(
        junction(msgspec.structs.replace(RED_LIGHT, zone="nearer")),
        signals=(Signal(name="main", lamps=(lens, near)), *SIGNALS[1:]),
    )
    said = " ".join(check_site(doubtful, KZ, dt.datetime(2026, 6, 1, tzinfo=dt.UTC)))
    assert "zone nearer does not lie beyond line stop" in said
    assert "signal main has no red lamp and no controller" in said
    assert "signal main: the green lens is too small" in said
    assert "signal main: the green lens and the amber one overlap" in said
    assert check_site(junction(RED_LIGHT), KZ, dt.datetime(2026, 6, 1, tzinfo=dt.UTC)) == []


def test_a_rule_that_names_no_signal_of_the_site_is_refused() -> None:
    with pytest.raises(ValueError, match="rule red: there is no signal 'main'"):
        msgspec.structs.replace(JUNCTION, signals=())


# -- stop_line


def test_standing_beyond_the_line_on_red_is_told_when_red_is_over() -> None:
    where = junction(RED_LIGHT, STOP_LINE)
    (case,) = drive(where, stops_at(38.0), [(Phase.RED, -9.0), (Phase.GREEN, 9.0)], lasts_s=14.0)
    assert (case.kind, case.article) == ("stop_line", "601 p.1")
    assert list(case.instants) == ["before", "line", "stands"]
    assert any("Not confirmed" in reason for reason in case.reasons)


def test_standing_beyond_the_line_is_told_when_the_track_ends_on_red() -> None:
    assert [case.kind for case in drive(junction(STOP_LINE), stops_at(38.0), RED, end_s=7.0)] == ["stop_line"]


def test_standing_before_the_line_is_innocent() -> None:
    where = junction(RED_LIGHT, STOP_LINE)
    assert drive(where, stops_at(34.9), [(Phase.RED, -9.0), (Phase.GREEN, 9.0)], lasts_s=14.0) == []


def test_standing_beyond_it_after_crossing_on_green_is_innocent() -> None:
    where = junction(STOP_LINE)
    assert drive(where, stops_at(38.0), [(Phase.GREEN, -9.0), (Phase.RED, 5.0)], lasts_s=14.0) == []
    assert drive(where, stops_at(38.0), [(Phase.GREEN, -9.0)], lasts_s=14.0) == []


def test_how_far_beyond_is_the_rules() -> None:
    far = junction(msgspec.structs.replace(STOP_LINE, beyond_m=3.0))
    assert drive(far, stops_at(38.0), RED, lasts_s=10.0) == []
    assert len(drive(far, stops_at(41.0), RED, lasts_s=10.0)) == 1


def test_who_stands_and_then_runs_the_red_light_is_told_that_alone() -> None:
    def stands_and_runs(t: float) -> tuple[float, float]:
        return 0, min(38.0, 17 + 10 * t) + max(0.0, t - 5) * 8

    where = junction(RED_LIGHT, STOP_LINE)
    assert [case.kind for case in drive(where, stands_and_runs, RED, lasts_s=10.0)] == ["red_light"]
    assert drive(junction(STOP_LINE), stands_and_runs, RED, lasts_s=10.0) == []
    ended = [(Phase.RED, -9.0), (Phase.GREEN, 5.0)]
    assert [case.kind for case in drive(where, stands_and_runs, ended, lasts_s=10.0)] == ["stop_line"]


# -- rail_crossing


@pytest.mark.parametrize("closed", [Phase.RED, Phase.RED_FLASHING, Phase.BARRIER_CLOSED])
def test_passing_a_closed_level_crossing_is_told(closed: Phase) -> None:
    (case,) = drive(junction(RAIL), runner(), [(Phase.DARK, -20.0), (closed, -5.0)])
    assert (case.kind, case.article) == ("rail_crossing", "607 p.1")


@pytest.mark.parametrize("open_", [Phase.DARK, Phase.GREEN, Phase.UNKNOWN])
def test_passing_an_open_level_crossing_is_innocent(open_: Phase) -> None:
    assert drive(junction(RAIL), runner(), [(open_, -5.0)]) == []


def test_a_closed_barrier_is_no_red_light() -> None:
    assert drive(JUNCTION, runner(), [(Phase.BARRIER_CLOSED, -5.0)]) == []


# -- junction_blocking


def blocked(way: Way, cross: Sequence[tuple[Phase, float]], where: Site | None = None, **changes: object):
    return drive(where or junction(BOX), way, GREEN, others={"cross": cross}, lasts_s=20.0, **changes)


CROSS_GREEN = [(Phase.RED, -20.0), (Phase.GREEN, 6.0)]


def test_standing_in_the_junction_while_the_cross_traffic_has_green_is_told() -> None:
    (case,) = blocked(stops_at(50.0), CROSS_GREEN)
    assert (case.kind, case.article) == ("junction_blocking", "594 p.1")
    assert list(case.instants) == ["halt", "green", "blocked"]
    assert case.instants["green"] == pytest.approx(NOON_S + 6.3, abs=0.3)
    assert case.instants["blocked"] - case.instants["green"] == pytest.approx(BOX.dwell_s)


@pytest.mark.parametrize(
    "cross",
    [
        [(Phase.RED, -20.0)],
        [(Phase.RED, -20.0), (Phase.GREEN, 6.0), (Phase.AMBER, 10.0)],
        [(Phase.AMBER_FLASHING, -20.0)],
        [],
    ],
    ids=["red", "green too short", "flashing amber", "unknown"],
)
def test_standing_there_while_it_has_none_is_innocent(cross: list[tuple[Phase, float]]) -> None:
    assert blocked(stops_at(50.0), cross) == []


def test_standing_before_the_junction_or_driving_through_it_is_innocent() -> None:
    assert blocked(still(0, 36), CROSS_GREEN) == []
    assert blocked(still(0, LINE_M + 1.9), CROSS_GREEN, noise_px=1.0) == []
    assert blocked(runner(15), CROSS_GREEN) == []


def test_moving_on_before_the_dwell_is_over_is_innocent() -> None:
    def moves_on(t: float) -> tuple[float, float]:
        return 0, min(50.0, 17 + 10 * t) + max(0.0, t - 9) * 6

    assert blocked(moves_on, CROSS_GREEN) == []
    short = junction(msgspec.structs.replace(BOX, dwell_s=2.0))
    assert len(blocked(moves_on, CROSS_GREEN, short)) == 1
