"""Driving on the shoulder or the footway."""

from __future__ import annotations

from engine.rules.kinds.shoulder_or_sidewalk import ShoulderRule
from tests.support.road import BESIDE, INSIDE, Vehicle, drive_in, judged, scene, straight
from tests.support.twins import Twins, single

SHOULDER = ShoulderRule(name="shoulder", zone="lane")


def test_driving_on_the_shoulder_is_reported_and_driving_beside_it_is_not() -> None:
    (case,) = drive_in(SHOULDER, straight(INSIDE, 16, 45))
    assert (case.kind, case.article) == ("shoulder_or_sidewalk", "596 p.1")
    assert drive_in(SHOULDER, straight(BESIDE, 16, 45)) == []


def test_pulling_over_is_not_reported_and_neither_is_pulling_out() -> None:
    pulls_over = lambda t: (INSIDE, 20 + min(32.0, 8 * t))  # noqa: E731
    pulls_out = lambda t: (INSIDE if t < 10 else 0, 30 + max(0.0, 6 * (t - 5)))  # noqa: E731
    assert drive_in(SHOULDER, pulls_over, lasts_s=14.0) == []
    assert drive_in(SHOULDER, pulls_out, lasts_s=14.0) == []


def test_a_long_drive_along_the_shoulder_before_a_halt_is_reported() -> None:
    assert len(drive_in(SHOULDER, lambda t: (INSIDE, 20 + min(62.0, 10 * t)), lasts_s=14.0)) == 1


def test_a_vehicle_that_slows_down_as_it_leaves_the_picture_may_pull_over() -> None:
    brakes = lambda t: (INSIDE, 20 + 12 * t - 1.3 * t * t)  # noqa: E731
    assert drive_in(SHOULDER, brakes, end_s=4.0) == []
    assert len(drive_in(SHOULDER, straight(INSIDE, 20, 40), end_s=3.5)) == 1


def test_a_track_that_goes_on_as_another_has_not_left_the_picture() -> None:
    whole = straight(INSIDE, 20, 40)
    parts = [Vehicle(track=1, path=whole, end_s=3.0), Vehicle(track=2, path=whole, begin_s=3.2, end_s=12.0)]
    assert len(judged(scene(SHOULDER), *parts, lasts_s=14.0)) == 1


TWINS = (
    Twins(
        name="pulling over",
        fact="pulls over and halts",
        rule=SHOULDER,
        guilty=single(straight(4.2, 18, 40)),
        innocent=single(lambda t: (4.2, 18 + min(30.0, 9 * t))),
    ),
)
