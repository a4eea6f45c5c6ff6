"""Every link of the documents leads to a file."""

from __future__ import annotations

import re

from benchmarks.pages import ROOT


def test_every_file_that_the_documents_link_to_is_there() -> None:
    for document in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
