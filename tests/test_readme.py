"""The README says what was measured, and nothing that does not exist."""

from __future__ import annotations

import re

from benchmarks import evidence
from benchmarks.pages import between, result
from benchmarks.readme import README, ROOT, renewed


def test_the_numbers_in_the_readme_are_those_of_the_committed_results() -> None:
    text = README.read_text(encoding="utf-8")
    assert renewed(text) == text


def test_every_file_that_the_documents_link_to_is_there() -> None:
    for document in [README, *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_cost_of_a_case_on_the_page_of_the_evidence_is_that_of_the_committed_result() -> None:
    page = evidence.PAGE.read_text(encoding="utf-8")
    assert between(page, "evidence", evidence.page_table(result("evidence"))) == page
