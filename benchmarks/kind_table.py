"""Writes the table of kinds and tests in docs/rules.md: `python -m benchmarks kind_table`.

From the catalogue, the scenes of `tests/world_kinds.py` and the committed result of `python -m benchmarks mutations`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

from benchmarks import pages
from engine.rules import load_catalogue

PAGE = pages.ROOT / "docs" / "rules.md"
HEADER = ("kind", "the innocent twin, from boxes to the register", "tests of the rule", "faults noticed")


def main(argv: list[str]) -> int:
    """Rewrite the page in place."""
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), pages.result("mutations")), encoding="utf-8")
    return 0


def with_table(text: str, result: dict[str, Any]) -> str:
    """The page's text with the table made anew. Raises ValueError without the two marks."""
    return pages.between(text, "kinds", table(result))


def table(result: dict[str, Any]) -> str:
    """A Markdown table of the kinds that have twins or faults, in the catalogue's order, and the faults one by one."""
    scenes = importlib.import_module("tests.world_kinds").WORLD
    mutants = result["mutants"]
    kinds = [k.kind for k in load_catalogue("kz").kinds if any(k.kind == s.kind for s in scenes)]
    lines = [_row(HEADER), _row(["---"] * len(HEADER)), *(_row(_cells(kind, scenes, mutants)) for kind in kinds)]
    faults = [_row(("kind", "fault put in", "first test that failed")), _row(["---"] * 3)]
    faults += [
        _row((f"`{m['kind']}`", m["fault"], f"`{m['killed_by']}`" if m["killed_by"] else "none")) for m in mutants
    ]
    return "\n".join([*lines, "", _total(result), "", *faults]) + "\n"


def _cells(kind: str, scenes: Iterable[Any], mutants: Iterable[dict[str, Any]]) -> list[str]:
    own = [mutant for mutant in mutants if mutant["kind"] == kind]
    files = sorted({test for mutant in own for test in mutant["tests"]})
    facts = [f"{scene.name}: {scene.fact}" for scene in scenes if scene.kind == kind]
    noticed = f"{sum(1 for mutant in own if mutant['killed_by'])} of {len(own)}"
    return [f"`{kind}`", "; ".join(facts), ", ".join(f"`{file}`" for file in files), noticed]


def _total(result: dict[str, Any]) -> str:
    total, machine = result["total"], result["machine"]
    return (
        f"Of {total['faults']} faults put into the rules one at a time the tests noticed {total['killed']} "
        f"(`python -m benchmarks mutations --json`, Python {machine['python']})."
    )


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
