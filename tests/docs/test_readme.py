"""Every link and every path in the documents leads to a file or folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.pages import ROOT

FOLDERS = "engine|kernels|tests|rig|benchmarks|footage|proto|deploy|docs"
PATH = re.compile(rf"(?<![\w/.-])((?:{FOLDERS})/[\w./-]*\w)(?![\w<*@-]|/[<*])")
"""A path from the root of the repository; a part in <> or with * is a placeholder."""
TABLE = re.compile(r"<!-- ([a-z]+):begin -->.*?<!-- \1:end -->", re.DOTALL)
"""A table written from a result, whose paths are those of its time."""
EXAMPLE = "close_following"
"""The rule that docs/adding-a-rule.md adds."""
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths_of_a_document_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = [document.parent / target for target in re.findall(r"\]\((?!https?:)([^)#]+)", text)]
    targets += [ROOT / path for path in PATH.findall(TABLE.sub("", text)) if EXAMPLE not in path]
    assert [str(target) for target in targets if not target.exists()] == []
