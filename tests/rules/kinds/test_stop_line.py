"""Standing beyond the stop line on red."""

from __future__ import annotations

import msgspec

from engine.rules.kinds.stop_line import StopLineRule
from engine.types import Phase
from tests.support.junction import RED, RED_LIGHT, STOP_LINE, drive, junction, stops_at
from tests.support.twins import MAIN_RED, Twins, single


def test_standing_beyond_the_line_on_red_is_reported_when_red_is_over() -> None:
    where = junction(RED_LIGHT, STOP_LINE)
    (case,) = drive(where, stops_at(38.0), [(Phase.RED, -9.0), (Phase.GREEN, 9.0)], lasts_s=14.0)
    assert (case.kind, case.article) == ("stop_line", "601 p.1")
    assert list(case.instants) == ["before", "line", "stands"]
    assert any(reason.code == "law_unverified" for reason in case.reasons)


def test_standing_beyond_the_line_is_reported_when_the_track_ends_on_red() -> None:
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


def test_standing_and_then_running_the_red_light_is_reported_as_red_light_only() -> None:
    def stands_and_runs(t: float) -> tuple[float, float]:
        return 0, min(38.0, 17 + 10 * t) + max(0.0, t - 5) * 8

    where = junction(RED_LIGHT, STOP_LINE)
    assert [case.kind for case in drive(where, stands_and_runs, RED, lasts_s=10.0)] == ["red_light"]
    assert drive(junction(STOP_LINE), stands_and_runs, RED, lasts_s=10.0) == []
    ended = [(Phase.RED, -9.0), (Phase.GREEN, 5.0)]
    assert [case.kind for case in drive(where, stands_and_runs, ended, lasts_s=10.0)] == ["stop_line"]


TWINS = (
    Twins(
        name="beyond the line",
        fact="stops before the line",
        rule=StopLineRule(name="over", zone="junction", line="stop", signal=("main",), beyond_m=0.0),
        guilty=single(lambda t: (0.0, min(40.0, 17 + 10 * t))),
        innocent=single(lambda t: (0.0, min(33.0, 17 + 10 * t))),
        phases=MAIN_RED,
    ),
)
