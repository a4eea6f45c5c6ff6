"""The README says what was measured, and nothing that does not exist."""

from __future__ import annotations

import json
import re

from benchmarks.readme import README, RESULTS, ROOT, with_costs


def test_the_costs_in_the_readme_are_those_of_the_committed_result() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_costs(text, json.loads((RESULTS / "pipeline.json").read_text())) == text


def test_every_file_that_the_documents_link_to_is_there() -> None:
    for document in [README, *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
