"""Inject faults many times; count lost and doubled cases, and measure the time to recover.

    python -m benchmarks faults --json

The scenarios are in `rig/faults/scenarios.py`; `make test` runs each of them a few times. The committed result makes
the table of docs/reliability.md.
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
    parser.add_argument("names", nargs="*", help=f"from {', '.join(SCENARIOS)}; default: all")
    parser.add_argument("--short", action="store_true", help="run each scenario as often as the tests do")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    logs.configure(level="critical")
    faults = {name: inject(name, options.short) for name in options.names or SCENARIOS}
    print(json.dumps({"machine": describe_machine(), "faults": faults}, indent=2))
    return 0 if all(row["lost"] == row["doubled"] == 0 for row in faults.values()) else 1


def inject(name: str, short: bool) -> dict[str, Any]:
    """Run one scenario in an empty folder. Returns its counts and times."""
    scenario, few, many = SCENARIOS[name]
    with tempfile.TemporaryDirectory(prefix="qyran-faults-") as folder:
        return asdict(scenario(Path(folder), few if short else many))


def renew(text: str) -> str:
    """The page's text with new tables. Raises ValueError if a mark is missing."""
    return between(text, "faults", table(result("faults")))


def table(found: dict[str, Any]) -> str:
    """A Markdown table, one line a fault."""
    rows = "".join(_row(row) for row in found["faults"].values())
    return f"| injected | times | cases | lost | doubled | longest recovery |\n|---|---:|---:|---:|---:|---:|\n{rows}"


def _row(row: dict[str, Any]) -> str:
    recovery = "no interruption" if row["recovery_s"] is None else f"{row['recovery_s']:.1f} s"
    return (
        f"| {row['injected']} | {row['times']} | {row['appended']} | {row['lost']} | {row['doubled']} | {recovery} |\n"
    )
