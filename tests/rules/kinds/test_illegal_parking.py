"""Parking: a halt of more than five minutes."""

from __future__ import annotations

from tests.support.road import NO_PARKING, NO_STOPPING, site, stay, still
from tests.support.twins import Twins, single


def test_a_halt_of_five_minutes_is_no_parking_and_a_longer_one_is() -> None:
    assert stay(still(4.5, 30), site(NO_PARKING), lasts_s=320.0, fps=2.0) == []
    (case,) = stay(still(4.5, 30), site(NO_PARKING), lasts_s=700.0, fps=2.0)
    assert (case.kind, case.ended_s - case.began_s) == ("illegal_parking", NO_PARKING.dwell_s)


def test_a_stop_that_becomes_parking_is_one_offence() -> None:
    both = site(NO_STOPPING, NO_PARKING)
    assert [case.kind for case in stay(still(4.5, 30), both, lasts_s=500.0, fps=2.0)] == ["illegal_stop"]


TWINS = (
    Twins(
        name="longer than a stop",
        fact="drives on after less than 5 minutes",
        rule=NO_PARKING,
        guilty=single(still(4.5, 30)),
        innocent=single(still(4.5, 30), end_s=290.0),
        lasts_s=340.0,
        fps=2,
    ),
)
