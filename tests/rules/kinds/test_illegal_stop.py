"""Stopping: one stay is one offence, however the vehicle is seen; a vehicle in motion never stands."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from engine.types import Clock, VehicleClass, Violation
from tests.support.road import NO_STOPPING, NOON_S, Trajectory, Vehicle, arrives, judged, site, stay, still, straight
from tests.support.twins import Twins, single


def test_standing_for_the_dwell_is_reported_once_and_dated_to_the_dwell() -> None:
    (case,) = stay(arrives(4, 50, 5.0), lasts_s=120.0)
    assert (case.kind, case.article, case.outcome) == ("illegal_stop", "597 p.1", "fine")
    assert case.instants["halt"] == pytest.approx(NOON_S + 5, abs=1.5)
    assert case.decisive_s == case.instants["dwell"] == case.instants["halt"] + NO_STOPPING.dwell_s


def test_the_innocent_twin_leaves_before_the_dwell() -> None:
    assert stay(arrives(4, 50, 5.0, leaves_s=23.0)) == []
    assert len(stay(arrives(4, 50, 5.0, leaves_s=27.0))) == 1


def test_the_innocent_twin_stands_beside_the_zone() -> None:
    assert stay(arrives(0, 50, 5.0)) == []


def test_a_queue_that_creeps_forward_does_not_stand() -> None:
    def creeps(t: float) -> tuple[float, float]:
        return 4, 30 + 3 * (t // 12) + min(1.0, t % 12 / 2) * 3

    assert stay(creeps, lasts_s=120.0) == []


def test_passing_traffic_does_not_stand() -> None:
    assert stay(straight(4, 16, 8), lasts_s=40.0) == []


@pytest.mark.parametrize("y", [20, 40, 60])
def test_the_jitter_of_the_foot_point_does_not_break_a_stand(y: float) -> None:
    assert len(stay(still(4, y), noise_px=2.0, lasts_s=60.0)) == 1


def test_false_boxes_and_short_hiding_do_not_break_a_stand() -> None:
    def half_hidden(t: float, box: np.ndarray) -> np.ndarray:
        return box - np.array([0, 0, 0, 25]) if 8 < t < 10.5 or 15 < t < 17 else box

    (case,) = stay(still(4.5, 40), box_of=half_hidden, lasts_s=26.0)
    assert case.began_s == pytest.approx(NOON_S, abs=1)


def lost_and_found(
    gap_s: float, lost_s: float, y: float = 40.0, lasts_s: float = 90.0, **found: object
) -> list[Violation]:
    """A vehicle stands from the start; its track is lost, and it is found again as another track."""
    first = Vehicle(track=1, path=still(4.5, y), end_s=lost_s)
    second = Vehicle(**({"track": 2, "path": still(4.5, y), "begin_s": lost_s + gap_s} | found))
    return judged(site(NO_STOPPING), first, second, lasts_s=lasts_s)


def test_a_vehicle_reported_lost_and_found_again_is_not_reported_again() -> None:
    for gap_s in (1.5, 15.0, 40.0):
        assert [case.track for case in lost_and_found(gap_s, lost_s=30.0, lasts_s=120.0)] == [1]


def test_standing_goes_on_over_a_short_time_out_of_sight() -> None:
    (case,) = lost_and_found(6.0, lost_s=12.0)
    assert case.track == 2
    assert case.began_s == pytest.approx(NOON_S, abs=1)
    assert case.sightings[0].captured_s <= case.instants["halt"] < NOON_S + 12


def test_standing_begins_anew_after_a_long_time_out_of_sight() -> None:
    (case,) = lost_and_found(25.0, lost_s=12.0)
    assert case.began_s == pytest.approx(NOON_S + 37, abs=1)


def test_a_vehicle_that_drives_up_to_where_another_stood_is_reported_for_itself() -> None:
    reported = lost_and_found(5.0, lost_s=30.0, path=arrives(4.5, 40, 45.0))
    assert [case.track for case in reported] == [1, 2]
    assert reported[1].began_s > NOON_S + 43


def drives_off(at_s: float) -> Trajectory:
    """Stands at (4.5, 40) and is off at once."""
    return lambda t: (4.5, 40 + 15 * max(0.0, t - at_s))


def test_standing_is_not_passed_on_by_a_vehicle_that_was_seen_to_leave() -> None:
    first = Vehicle(track=1, path=drives_off(12.0), end_s=14.0)
    second = Vehicle(track=2, path=still(4.5, 40), begin_s=16.0, end_s=30.0)
    assert judged(site(NO_STOPPING), first, second, lasts_s=40.0) == []


def test_standing_is_not_passed_on_to_another_place() -> None:
    first = Vehicle(track=1, path=still(4.5, 30), end_s=12.0)
    second = Vehicle(track=2, path=still(4.5, 60), begin_s=15.0, end_s=30.0)
    assert judged(site(NO_STOPPING), first, second, lasts_s=40.0) == []


def test_where_an_accused_vehicle_was_seen_to_leave_the_next_is_reported_for_itself() -> None:
    first = Vehicle(track=1, path=drives_off(30.0), end_s=32.0)
    second = Vehicle(track=2, path=still(4.5, 40), begin_s=35.0)
    assert [case.track for case in judged(site(NO_STOPPING), first, second, lasts_s=70.0)] == [1, 2]


def test_a_place_is_forgotten_when_nothing_stood_there_for_long() -> None:
    assert len(lost_and_found(500.0, lost_s=30.0, lasts_s=580.0)) == 1
    assert len(lost_and_found(650.0, lost_s=30.0, lasts_s=730.0)) == 2


@pytest.mark.parametrize("batch_s", [0.125, 2.0])
def test_vehicles_that_come_into_sight_at_one_place_one_after_another_do_not_stand(batch_s: float) -> None:
    passing = [
        Vehicle(track=n, path=lambda t, n=n: (4.5, 30 + 10 * (t - 4 * n)), begin_s=4.0 * n, end_s=4.0 * n + 3)
        for n in range(15)
    ]
    assert judged(site(NO_STOPPING), *passing, lasts_s=70.0, batch_s=batch_s) == []


def test_a_vehicle_that_passes_does_not_go_on_with_the_stand_of_one_that_was_lost() -> None:
    lost = Vehicle(track=1, path=still(4.5, 30), end_s=18.0)
    passing = Vehicle(track=2, path=lambda t: (4.5, 30 + 10 * (t - 21)), begin_s=21.0, end_s=26.0)
    assert judged(site(NO_STOPPING), lost, passing, lasts_s=40.0, batch_s=0.125) == []


def test_a_vehicle_that_passes_an_accused_one_does_not_take_its_place() -> None:
    accused = [
        Vehicle(track=n, path=still(4.5, 30), begin_s=b, end_s=e) for n, b, e in ((1, 0.0, 30.0), (9, 45.0, 99.0))
    ]
    passing = Vehicle(track=5, path=lambda t: (4.5, 30 + 10 * (t - 35)), begin_s=35.0, end_s=42.0)
    assert [case.track for case in judged(site(NO_STOPPING), *accused, passing, lasts_s=100.0)] == [1]


def test_a_vehicle_parked_close_behind_is_reported_for_itself() -> None:
    both = [Vehicle(track=n, path=still(4.5, y)) for n, y in ((1, 30.0), (2, 36.0))]
    assert sorted(case.track for case in judged(site(NO_STOPPING), *both, lasts_s=40.0)) == [1, 2]


def test_two_tracks_on_one_vehicle_are_one_offence() -> None:
    twice = [Vehicle(track=1, path=arrives(4.5, 40, 5.0)), Vehicle(track=2, path=arrives(4.5, 40, 5.0))]
    assert len(judged(site(NO_STOPPING), *twice, lasts_s=60.0)) == 1


def test_moving_up_a_little_is_the_same_stay_and_stopping_elsewhere_another() -> None:
    def moves_up(metres: float) -> Trajectory:
        return lambda t: (4.5, 30 + min(metres, max(0.0, t - 40) * 2))

    assert len(stay(moves_up(4.0), lasts_s=100.0)) == 1
    assert len(stay(moves_up(20.0), lasts_s=100.0)) == 2


def test_the_variant_of_the_place_chooses_the_part_of_the_article() -> None:
    lawn = site(msgspec.structs.replace(NO_STOPPING, variant="lawn_or_footway"))
    assert stay(still(4.5, 30), lawn)[0].article == "597 p.2"


def test_only_the_time_within_the_hours_counts() -> None:
    from_noon = site(msgspec.structs.replace(NO_STOPPING, hours="12:00-14:00"))
    assert stay(still(4.5, 30), from_noon, start_s=NOON_S - 25, lasts_s=40.0) == []
    (case,) = stay(still(4.5, 30), from_noon, start_s=NOON_S - 25, lasts_s=60.0)
    assert case.began_s == pytest.approx(NOON_S, abs=2.1)


def test_hours_that_pause_make_the_time_begin_anew() -> None:
    not_at_noon = site(msgspec.structs.replace(NO_STOPPING, hours="12:01-12:00"))
    assert stay(still(4.5, 30), not_at_noon, start_s=NOON_S - 10, lasts_s=85.0) == []
    assert len(stay(still(4.5, 30), not_at_noon, start_s=NOON_S - 10, lasts_s=95.0)) == 1


def test_a_jump_of_the_clock_is_no_dwell() -> None:
    def jumps(t: float) -> Clock:
        return Clock.UNSTABLE if 14 < t < 16 else Clock.SYNCHRONISED

    assert stay(still(4.5, 30), lasts_s=30.0, clock_of=jumps) == []
    (case,) = stay(still(4.5, 30), lasts_s=45.0, clock_of=jumps)
    assert case.began_s > NOON_S + 15


@pytest.mark.parametrize("class_id", [VehicleClass.PERSON, VehicleClass.BICYCLE])
def test_bicycles_and_persons_may_stand(class_id: VehicleClass) -> None:
    assert stay(still(4.5, 30), class_of=lambda t: class_id) == []


TWINS = (
    Twins(
        name="dwell",
        fact="drives on after 10 s, before the dwell of 20",
        rule=NO_STOPPING,
        guilty=single(arrives(4.5, 35, 3, 40)),
        innocent=single(arrives(4.5, 35, 3, 13)),
        lasts_s=30.0,
    ),
)
