"""Pages whose tables are made from the committed results: what stands between two marks is made anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"


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
