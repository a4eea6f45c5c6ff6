"""The fault suite at length: what is injected, how often, what is lost and doubled, how long it takes to go on.

    python -m benchmarks faults --json

The scenarios (`rig/faults/scenarios.py`) run many times over; `make test` runs them a few times each. The result
of record makes the table of docs/reliability.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.pages import ROOT, between, result
from engine.app import logs
from rig.faults.scenarios import SCENARIOS

PAGE = ROOT / "docs" / "reliability.md"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(SCENARIOS)}; all by default")
    parser.add_argument("--short", action="store_true", help="as often as the tests do")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    logs.configure(level="critical")
    faults = {name: inject(name, options.short) for name in options.names or SCENARIOS}
    print(json.dumps({"machine": describe_machine(), "faults": faults}, indent=2))
    return 0 if all(row["lost"] == row["doubled"] == 0 for row in faults.values()) else 1


def inject(name: str, short: bool) -> dict[str, Any]:
    scenario, few, many = SCENARIOS[name]
    with tempfile.TemporaryDirectory(prefix="qyran-faults-") as folder:
        return asdict(scenario(Path(folder), few if short else many))


def renewed(text: str) -> str:
    """The page's text with its table made anew. Raises ValueError where a mark is missing."""
    return between(text, "faults", table(result("faults")))


def table(found: dict[str, Any]) -> str:
    """A Markdown table, a line a fault."""
    rows = "".join(_row(row) for row in found["faults"].values())
    return f"| injected | times | cases | lost | doubled | longest recovery |\n|---|---:|---:|---:|---:|---:|\n{rows}"


def _row(row: dict[str, Any]) -> str:
    recovery = "nothing stood still" if row["recovery_s"] is None else f"{row['recovery_s']:.1f} s"
    return (
        f"| {row['injected']} | {row['times']} | {row['appended']} | {row['lost']} | {row['doubled']} | {recovery} |\n"
    )
