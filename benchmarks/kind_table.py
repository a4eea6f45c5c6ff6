"""Tables of kinds, mutants and simulated traffic in docs/rules.md.

They come from the twins in `tests/rules/kinds` and from the committed results of `mutations` and `traffic`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

from benchmarks import pages
from engine.rules import load_catalogue

PAGE = pages.ROOT / "docs" / "rules.md"


def renew(text: str) -> str:
    """The page's text with new tables. Raises ValueError if a mark is missing."""
    text = pages.between(text, "kinds", table())
    text = pages.between(text, "mutations", mutation_table(pages.result("mutations")))
    return pages.between(text, "traffic", traffic_table(pages.result("traffic")))


def traffic_table(result: dict[str, Any]) -> str:
    """A sentence on the lawful traffic, and a Markdown table of the offenders by kind."""
    lines = [_row(("kind", "offenders", "found", "cases", "precision", "recall")), _row(["---"] + ["---:"] * 5)]
    for kind, row in result["planted"]["kinds"].items():
        counts = (str(row[name]) for name in ("offenders", "found", "cases", "precision", "recall"))
        lines.append(_row((f"`{kind}`", *counts)))
    lawful, minutes = result["lawful"], result["parameters"]["minutes"]
    summary = (
        f"{minutes} camera minutes of dense traffic that keeps to the law, {lawful['vehicles']:,} vehicles: "
        f"{lawful['false_cases']} cases. {minutes} camera minutes with offenders among "
        f"{result['planted']['vehicles']:,} vehicles:"
    )
    return "\n".join([summary, "", *lines]) + "\n"


def table() -> str:
    """A Markdown table of the kinds with an innocent twin, in the order of the catalogue."""
    scenes = importlib.import_module("tests.support.twins").find_twins()
    kinds = [k.kind for k in load_catalogue("kz").kinds if any(k.kind == scene.kind for scene in scenes)]
    facts = {kind: "; ".join(f"{one.name}: {one.fact}" for one in scenes if one.kind == kind) for kind in kinds}
    lines = [_row(("kind", "the innocent twin, from boxes to the ledger")), _row(["---"] * 2)]
    return "\n".join([*lines, *(_row((f"`{kind}`", fact)) for kind, fact in facts.items())]) + "\n"


def mutation_table(result: dict[str, Any]) -> str:
    """A Markdown table of the mutants that the tests noticed, one line a file, and their total."""
    lines = [_row(("file", "tests", "mutants", "noticed")), _row(["---"] * 2 + ["---:"] * 2)]
    for name, row in result["kinds"].items():
        tests = f"`{row['tests'][0]}`" if len(row["tests"]) == 1 else "all tests of rules"
        lines.append(_row((f"`{name}.py`", tests, str(row["mutants"]), str(row["killed"]))))
    mutants, killed = (sum(row[name] for row in result["kinds"].values()) for name in ("mutants", "killed"))
    sample = f" --sample {result['sample']} --seed {result['seed']}" if result["sample"] else ""
    total = (
        f"The tests noticed {killed} of {mutants} mutants (`python -m benchmarks mutations{sample}`, "
        f"Python {result['machine']['python']}). `benchmarks/results/mutations.json` lists the survivors."
    )
    return "\n".join([*lines, "", total]) + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
