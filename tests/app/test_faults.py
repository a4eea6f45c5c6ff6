"""The short form of the fault suite: `python -m benchmarks faults` is the long one (docs/reliability.md)."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from engine.types import Entry
from rig.examples import make_case
from rig.faults.scenarios import SCENARIOS, Loss, compared, torn


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SCENARIOS)
def test_no_appended_case_is_lost_or_doubled(name: str, tmp_path: Path) -> None:
    inject, times, _ = SCENARIOS[name]
    found = inject(tmp_path, times)
    assert (found.lost, found.doubled) == (0, 0)
    assert found.appended > found.times


def test_lost_and_doubled_cases_are_counted() -> None:
    got = [Entry(sequence, 0.0, make_case(number)) for sequence, number in ((1, 1), (2, 2), (3, 2))]
    assert compared("x", 1, {"gate-000001", "gate-000005"}, got, None) == Loss("x", 1, 2, 1, 1, None)
    with pytest.raises(AssertionError, match="not in order"):
        compared("x", 1, set(), got[::-1], None)


def test_a_torn_tail_differs_from_what_was_written() -> None:
    content = bytes(range(256)) * 40
    tails = {torn(content, random.Random(seed)) for seed in range(20)}
    assert len(tails) > 15 and content not in tails
