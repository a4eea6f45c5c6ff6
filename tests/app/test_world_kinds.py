"""Every kind from boxes to the ledger: the offender is reported; the innocent twin and all others are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.rules.kinds import rule_kinds
from tests.support.twins import Twins, find_twins

twins = pytest.mark.parametrize("twins", find_twins(), ids=lambda one: f"{one.kind}-{one.name}".replace(" ", "-"))


@twins
def test_the_offender_is_reported_once_with_evidence(twins: Twins, tmp_path: Path) -> None:
    (case,) = twins.guilty_cases(tmp_path)
    assert (case.kind, case.outcome) == (twins.kind, twins.outcome)
    assert case.reasons
    assert case.incomplete == ()
    assert len(case.instants) >= 2
    assert {"overview.jpg", "vehicle.jpg"} <= {file.name for file in case.files}
    assert all(case.time.began <= point.captured <= case.time.ended for point in case.trajectory[1:-1])


@twins
def test_the_innocent_twin_is_not_reported(twins: Twins, tmp_path: Path) -> None:
    assert twins.innocent_cases(tmp_path) == []


def test_every_judged_kind_has_its_twins() -> None:
    """`average_speed` has two cameras: tests/app/test_world_section.py."""
    assert {one.kind for one in find_twins()} == rule_kinds().keys() - {"average_speed"}
