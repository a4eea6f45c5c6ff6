"""A moving vehicle whose track breaks is one vehicle and one case; another vehicle is another case."""

from __future__ import annotations

import numpy as np
import pytest

from engine.rules.relinking import predecessor
from engine.rules.track_history import TrackHistory, row_dtype
from tests.support.road import KMH, SPEEDING, WRONG_WAY, Trajectory, Vehicle, judged, site, straight

BOTH = site(SPEEDING, WRONG_WAY)


def broken(path: Trajectory, breaks_s: float, gap_s: float, end_s: float) -> list[Vehicle]:
    """One vehicle under two tracks."""
    return [
        Vehicle(track=1, path=path, end_s=breaks_s),
        Vehicle(track=2, path=path, begin_s=breaks_s + gap_s, end_s=end_s),
    ]


@pytest.mark.parametrize("gap_s", [0.125, 1.0, 2.0])
def test_a_speeder_whose_track_breaks_is_reported_once(gap_s: float) -> None:
    found = judged(BOTH, *broken(straight(0, 16, 80), 2.0, gap_s, 4.2), lasts_s=8.0, batch_s=1.0)
    assert [case.kind for case in found] == ["speeding"]


def test_a_track_that_breaks_twice_is_still_one_vehicle() -> None:
    path = straight(0, 16, 80)
    parts = [(0.0, 1.5), (1.75, 2.9), (3.1, 4.2)]
    pieces = [Vehicle(track=n, path=path, begin_s=begin, end_s=end) for n, (begin, end) in enumerate(parts)]
    assert len(judged(BOTH, *pieces, lasts_s=8.0)) == 1


def test_a_wrong_way_driver_whose_track_breaks_is_reported_once() -> None:
    assert len(judged(BOTH, *broken(straight(0, 100, -36), 4.0, 1.0, 8.0), lasts_s=12.0)) == 1


def test_a_speeder_that_follows_another_is_reported_for_itself() -> None:
    convoy = [
        Vehicle(track=n, path=lambda t, n=n: (0, 16 + 80 / KMH * (t - 1.5 * n)), begin_s=1.5 * n, end_s=1.5 * n + 4.2)
        for n in range(3)
    ]
    assert [case.track for case in judged(BOTH, *convoy, lasts_s=12.0)] == [0, 1, 2]


def test_a_speeder_in_the_next_lane_is_reported_for_itself() -> None:
    pair = [Vehicle(track=n, path=straight(x, 16, 80), end_s=4.2) for n, x in ((1, -3.0), (2, 3.0))]
    assert [case.track for case in judged(BOTH, *pair, lasts_s=8.0)] == [1, 2]


def test_a_vehicle_that_comes_long_after_is_reported_for_itself() -> None:
    later = [
        Vehicle(track=1, path=straight(0, 16, 80), end_s=2.0),
        Vehicle(track=2, path=lambda t: (0, 16 + 80 / KMH * (t - 3)), begin_s=5.0, end_s=7.2),
    ]
    assert [case.track for case in judged(BOTH, *later, lasts_s=12.0)] == [1, 2]


DTYPE = row_dtype(1)


def sightings(*rows: tuple[float, float]) -> np.ndarray:
    """Sightings at (time, metres along the road)."""
    made = np.zeros(len(rows), DTYPE)
    made["captured_s"], made["position_m"][:, 1] = np.array(rows).T
    return made


def trail(track: int, *rows: tuple[float, float]) -> TrackHistory:
    made = TrackHistory(track, DTYPE)
    made.extend(sightings(*rows))
    return made


def test_a_new_track_goes_on_with_the_one_that_headed_for_where_it_began() -> None:
    at_20_mps, standing = trail(1, (0, 0), (0.5, 10), (1, 20)), trail(2, (0, 20), (0.5, 20), (1, 20))
    assert predecessor(sightings((2, 40))[0], [standing, at_20_mps]) is at_20_mps
    assert predecessor(sightings((2, 22))[0], [at_20_mps, standing]) is standing
    assert predecessor(sightings((2, 120))[0], [at_20_mps, standing]) is None
    assert predecessor(sightings((2, np.nan))[0], [at_20_mps, standing]) is None


def test_a_vehicle_that_is_in_the_picture_still_or_left_it_long_ago_has_no_successor() -> None:
    gone = trail(1, (0, 0), (0.5, 10), (1, 20))
    assert predecessor(sightings((1, 20))[0], [gone]) is None
    assert predecessor(sightings((3.4, 68))[0], [gone]) is gone
    assert predecessor(sightings((3.6, 72))[0], [gone]) is None


def test_a_track_has_one_successor() -> None:
    gone, first = trail(1, (0, 0), (1, 20)), trail(2, (2, 40))
    first.succeed(gone)
    assert predecessor(sightings((2, 40))[0], [gone]) is None
    gone.reported.add("speeding")
    assert first.reported == {"speeding"}
