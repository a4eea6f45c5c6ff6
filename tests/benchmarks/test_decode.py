"""The table of the decode benchmark, and its committed result."""

from __future__ import annotations

import copy

from benchmarks import pages
from benchmarks.decode_table import table


def test_table_shows_the_figures_of_the_result() -> None:
    result = copy.deepcopy(pages.result("decode"))
    result["rows"][0]["camera_s_per_cpu_s"]["whole"] = 12345.0
    assert "12345.00" in table(result)


def test_committed_result_has_no_fallback_to_the_cpu() -> None:
    assert {row["fell_back"] for row in pages.result("decode")["rows"]} == {0}
