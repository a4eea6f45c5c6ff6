"""The tables of kinds, tests and traffic in docs/rules.md.

From the catalogue, the scenes of `tests/support/world_kinds.py` and the committed results of `python -m benchmarks mutations`
and `python -m benchmarks traffic`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

from benchmarks import pages
from engine.rules import load_catalogue

PAGE = pages.ROOT / "docs" / "rules.md"
HEADER = ("kind", "the innocent twin, from boxes to the register", "tests of the rule", "faults noticed")


def renewed(text: str) -> str:
    """The page's text with both tables made anew. Raises ValueError without their marks."""
    text = pages.between(text, "kinds", table(pages.result("mutations")))
    return pages.between(text, "traffic", traffic_table(pages.result("traffic")))


def traffic_table(result: dict[str, Any]) -> str:
    """What became of simulated offenders by kind, and of those who kept to the law."""
    lines = [_row(("kind", "offenders", "found", "cases", "precision", "recall")), _row(["---"] + ["---:"] * 5)]
    for kind, row in result["planted"]["kinds"].items():
        counts = (str(row[name]) for name in ("offenders", "found", "cases", "precision", "recall"))
        lines.append(_row((f"`{kind}`", *counts)))
    lawful, minutes = result["lawful"], result["parameters"]["minutes"]
    said = (
        f"{minutes} camera minutes of dense traffic that keeps to the law, {lawful['vehicles']:,} vehicles: "
        f"{lawful['false_cases']} cases. {minutes} camera minutes with offenders among "
        f"{result['planted']['vehicles']:,} vehicles:"
    )
    return "\n".join([said, "", *lines]) + "\n"


def table(result: dict[str, Any]) -> str:
    """A Markdown table of the kinds that have twins or faults, in the catalogue's order, and the faults one by one."""
    scenes = importlib.import_module("tests.support.world_kinds").WORLD
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
