"""The tables between the marks of a page come from the committed results."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import pages

WRITERS = [importlib.import_module(f"benchmarks.{name}") for name in pages.WRITERS]
TABLE = re.compile(r"(<!-- ([a-z]+):begin -->\n).*?(<!-- \2:end -->)", re.DOTALL)


def marked() -> list[Path]:
    every = [pages.ROOT / "README.md", *pages.ROOT.glob("docs/*.md")]
    return [page for page in every if ":begin -->" in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", marked(), ids=lambda page: page.name)
def test_pages_have_the_tables_of_the_committed_results(page: Path) -> None:
    """The test empties the tables first, so that a table without a writer fails."""
    text = page.read_text(encoding="utf-8")
    made = TABLE.sub(r"\1\3", text)
    assert made != text
    for writer in WRITERS:
        made = writer.renew(made) if page == writer.PAGE else made
    made = without_new_kinds(made, text) if page.name == "rules.md" else made
    assert made == text, "run: python -m benchmarks pages"


def without_new_kinds(made: str, text: str) -> str:
    """The page without the rows of kinds that its text does not name: a new kind need not touch the page."""
    kept, is_new = [], False
    for line in made.split("\n"):
        if kind := re.match(r"\| (`\w+`)", line):
            is_new = kind[1] not in text
        is_new = is_new and line.startswith("| ")
        if not is_new:
            kept.append(line)
    return "\n".join(kept)


def test_only_the_rows_of_a_new_kind_may_be_missing_from_a_page() -> None:
    head, old, part, new = "| kind | article |", "| `old` | 1 |", "|  | 2 |", "| `new` | 3 |"
    text = "\n".join([head, old, part])
    assert without_new_kinds("\n".join([head, old, part, new, part]), text) == text
    assert without_new_kinds("\n".join([head, old, part]), "\n".join([head, old])) != "\n".join([head, old])
    assert without_new_kinds("\n".join([head, old.replace("1", "9"), part]), text) != text


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
def test_renew_refuses_a_page_without_marks(writer: Any) -> None:
    with pytest.raises(ValueError, match="is missing"):
        writer.renew("# A page\n")


def test_between_refuses_a_single_mark() -> None:
    for mark in ("begin", "end"):
        with pytest.raises(ValueError, match="is missing"):
            pages.between(f"text <!-- kernels:{mark} -->", "kernels", "table")


def test_write_replaces_the_table_in_place(tmp_path: Path) -> None:
    class Writer:
        PAGE = tmp_path / "page.md"

        @staticmethod
        def renew(text: str) -> str:
            return pages.between(text, "here", "new\n")

    Writer.PAGE.write_text("# Page\n<!-- here:begin -->\nold\n<!-- here:end -->\n", encoding="utf-8")
    pages.write(Writer)
    assert Writer.PAGE.read_text(encoding="utf-8") == "# Page\n<!-- here:begin -->\nnew\n<!-- here:end -->\n"


def test_main_refuses_a_module_that_writes_no_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert pages.main(["decode"]) == 2
    assert "decode writes no page" in capsys.readouterr().out
