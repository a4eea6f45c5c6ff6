"""Standing in a junction while the cross traffic has green."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from engine.rules.kinds.junction_blocking import JunctionBlockingRule
from engine.site import Site
from engine.types import Phase
from tests.support.junction import BOX, GREEN, LINE_M, drive, junction, runner, stops_at
from tests.support.road import NOON_S, Trajectory, still
from tests.support.twins import Twins, single


def blocked(path: Trajectory, cross: Sequence[tuple[Phase, float]], where: Site | None = None, **changes: object):
    return drive(where or junction(BOX), path, GREEN, others={"cross": cross}, lasts_s=20.0, **changes)


CROSS_GREEN = [(Phase.RED, -20.0), (Phase.GREEN, 6.0)]


def test_standing_in_the_junction_while_the_cross_traffic_has_green_is_reported() -> None:
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
def test_standing_there_without_green_for_the_cross_traffic_is_innocent(cross: list[tuple[Phase, float]]) -> None:
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


TWINS = (
    Twins(
        name="cross traffic",
        fact="the cross traffic has red",
        rule=JunctionBlockingRule(name="box", zone="junction", cross_signal="cross", dwell_s=5.0),
        guilty=single(lambda t: (0.0, min(50.0, 17 + 8 * t))),
        phases={"cross": [(Phase.GREEN, -5.0)]},
        innocent_phases={"cross": [(Phase.RED, -5.0)]},
        lasts_s=16.0,
    ),
)
