"""The page's table is the committed result's."""

from __future__ import annotations

import copy

import pytest

from benchmarks import pages
from benchmarks.decode_table import PAGE, with_table


def test_the_page_shows_the_committed_result() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert with_table(text, pages.result("decode")) == text


def test_another_result_makes_another_table() -> None:
    text, result = PAGE.read_text(encoding="utf-8"), copy.deepcopy(pages.result("decode"))
    result["rows"][0]["camera_s_per_cpu_s"]["whole"] = 12345.0
    assert "12345.00" in with_table(text, result)


def test_a_page_without_marks_is_an_error() -> None:
    with pytest.raises(ValueError, match="decode:begin"):
        with_table("# On a GPU\n", pages.result("decode"))


def test_nothing_fell_back_to_the_cpu_when_it_was_measured() -> None:
    assert {row["fell_back"] for row in pages.result("decode")["rows"]} == {0}
