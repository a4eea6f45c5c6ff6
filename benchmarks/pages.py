"""Write the tables of the documentation from the committed results.

    python -m benchmarks pages [NAME ...]

A table is the text between two marks of a page. A module that writes tables has `PAGE`, the path of the page, and
`renew(text)`, which returns the text of the page with new tables. If it also draws pictures, it has `draw()`.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
WRITERS = (
    "accuracy",
    "catalogue_table",
    "decode_table",
    "delivery",
    "evidence",
    "faults",
    "kernel_table",
    "kind_table",
    "plates",
    "readme",
    "track_table",
)
"""Modules that write tables. All of them run by default."""


def main(argv: list[str]) -> int:
    """Rewrite the pages in place. Returns 2 for a name that is not in WRITERS."""
    if unknown := sorted(set(argv) - set(WRITERS)):
        print(f"pages: {', '.join(unknown)} writes no page; these do: {', '.join(WRITERS)}")
        return 2
    for name in argv or WRITERS:
        write(importlib.import_module(f"benchmarks.{name}"))
    return 0


def write(writer: Any) -> None:
    """Rewrite the page of one module."""
    page: Path = writer.PAGE
    page.write_text(writer.renew(page.read_text(encoding="utf-8")), encoding="utf-8")
    if hasattr(writer, "draw"):
        writer.draw()


def result(name: str) -> dict[str, Any]:
    """The committed result of a benchmark."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def between(text: str, name: str, table: str) -> str:
    """The text with `table` between the marks `name`. Raises ValueError if a mark is missing."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, first, rest = text.partition(begin)
    _, last, after = rest.partition(end)
    if not first or not last:
        raise ValueError(f"{begin} ... {end} is missing")
    return f"{before}{begin}\n{table}{end}{after}"
