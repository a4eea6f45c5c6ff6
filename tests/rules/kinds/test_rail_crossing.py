"""Passing a closed level crossing."""

from __future__ import annotations

import pytest

from engine.rules.kinds.rail_crossing import RailCrossingRule
from engine.types import Phase
from tests.support.junction import JUNCTION, RAIL, drive, junction, runner
from tests.support.road import straight
from tests.support.twins import Twins, single


@pytest.mark.parametrize("closed", [Phase.RED, Phase.RED_FLASHING, Phase.BARRIER_CLOSED])
def test_passing_a_closed_level_crossing_is_reported(closed: Phase) -> None:
    (case,) = drive(junction(RAIL), runner(), [(Phase.DARK, -20.0), (closed, -5.0)])
    assert (case.kind, case.article) == ("rail_crossing", "607 p.1")


@pytest.mark.parametrize("open_", [Phase.DARK, Phase.GREEN, Phase.UNKNOWN])
def test_passing_an_open_level_crossing_is_innocent(open_: Phase) -> None:
    assert drive(junction(RAIL), runner(), [(open_, -5.0)]) == []


def test_a_closed_barrier_is_no_red_light() -> None:
    assert drive(JUNCTION, runner(), [(Phase.BARRIER_CLOSED, -5.0)]) == []


TWINS = (
    Twins(
        name="closed",
        fact="the crossing is open: its lamps are dark",
        rule=RailCrossingRule(name="rail", zone="junction", line="stop", signal=("main",)),
        guilty=single(straight(0, 17, 50)),
        phases={"main": [(Phase.RED_FLASHING, -5.0)]},
        innocent_phases={"main": [(Phase.DARK, -5.0)]},
    ),
)
