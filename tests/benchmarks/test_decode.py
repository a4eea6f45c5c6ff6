"""The table of the decoders says what was measured."""

from __future__ import annotations

import copy

from benchmarks import pages
from benchmarks.decode_table import table


def test_another_result_makes_another_table() -> None:
    result = copy.deepcopy(pages.result("decode"))
    result["rows"][0]["camera_s_per_cpu_s"]["whole"] = 12345.0
    assert "12345.00" in table(result)


def test_nothing_fell_back_to_the_cpu_when_it_was_measured() -> None:
    assert {row["fell_back"] for row in pages.result("decode")["rows"]} == {0}
