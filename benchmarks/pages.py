"""Pages whose tables are made from the committed results, and of what they describe.

    python -m benchmarks pages [NAME ...]

What stands between two marks is made anew. A module that writes into a page has its path, `PAGE`, and `renewed`, which
gives the page's text with the module's tables made anew; where it draws pictures for the page, too, `draw`.
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
"""The modules that write; all by default."""


def main(argv: list[str]) -> int:
    """Rewrite the pages in place; 2 for a name that writes none."""
    if strange := sorted(set(argv) - set(WRITERS)):
        print(f"pages: {', '.join(strange)} writes no page; these do: {', '.join(WRITERS)}")
        return 2
    for name in argv or WRITERS:
        write(importlib.import_module(f"benchmarks.{name}"))
    return 0


def write(writer: Any) -> None:
    """Bring one writer's page up to date."""
    page: Path = writer.PAGE
    page.write_text(writer.renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
    if hasattr(writer, "draw"):
        writer.draw()


def result(name: str) -> dict[str, Any]:
    """The committed result of a benchmark."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def between(text: str, name: str, table: str) -> str:
    """The text with `table` between its marks of that name. Raises ValueError where a mark is missing."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, first, rest = text.partition(begin)
    _, last, after = rest.partition(end)
    if not first or not last:
        raise ValueError(f"{begin} ... {end} is missing")
    return f"{before}{begin}\n{table}{end}{after}"
