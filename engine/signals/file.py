"""Reads reports of controllers from a file, for replays: JSON lines, or CSV.

JSON lines: one report per line, as in `ReportSignalPhases`; times in ISO 8601 with an offset:

    {"controller": "c-17", "sequence": 1, "reported_at": "2026-06-01T12:00:05+05:00",
     "changes": [{"group": "K1", "phase": "red", "began_at": "2026-06-01T11:59:40+05:00"}]}

CSV with the header `controller,at,group,phase`: a group shows a phase from an instant on. A line without group and
phase states that the controller has reported everything up to this time. It should be the last line of each controller.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from engine.config import Strict
from engine.config.tomlfile import read_text
from engine.errors import ConfigError, SignalError
from engine.signals.controller import Change, Report
from engine.site import Aware
from engine.types import Phase

PhaseName = Literal[
    "dark", "red", "red_amber", "green", "green_flashing", "amber", "amber_flashing", "red_flashing", "barrier_closed"
]


class _Change(Strict, frozen=True):
    group: str
    phase: PhaseName
    began_at: Aware


class _Report(Strict, frozen=True):
    controller: str
    sequence: int
    reported_at: Aware
    changes: tuple[_Change, ...] = ()


class _Row(Strict, frozen=True):
    controller: str
    at: Aware
    group: str = ""
    phase: PhaseName | Literal[""] = ""


def read_reports(path: Path) -> Iterator[Report]:
    """Yield the reports of a `.jsonl` or `.csv` file in its order. Raises ConfigError that names file and line."""
    text = read_text(path)
    readers: dict[str, Callable[[str, Path], Iterator[Report]]] = {".jsonl": _of_json, ".csv": _of_csv}
    if path.suffix not in readers:
        raise ConfigError(f"{path}: the file of phases must be .jsonl or .csv")
    return readers[path.suffix](text, path)


def _of_json(text: str, path: Path) -> Iterator[Report]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line, type=_Report)
            changes = tuple(Change(c.group, Phase[c.phase.upper()], c.began_at.timestamp()) for c in row.changes)
            yield Report(row.controller, row.sequence, row.reported_at.timestamp(), changes)
        except (msgspec.MsgspecError, SignalError) as error:
            raise ConfigError(f"{path}: line {number}: {error}") from error


def _of_csv(text: str, path: Path) -> Iterator[Report]:
    sequence: Counter[str] = Counter()
    for number, cells in enumerate(csv.DictReader(io.StringIO(text)), 2):
        try:
            row = msgspec.convert({name: cell for name, cell in cells.items() if cell}, _Row, strict=False)
            if bool(row.group) != bool(row.phase):
                raise SignalError("group and phase must be set together")
        except (msgspec.MsgspecError, SignalError, TypeError) as error:
            raise ConfigError(f"{path}: line {number}: {error}") from error
        sequence[row.controller] += 1
        at_s = row.at.timestamp()
        changes = (Change(row.group, Phase[row.phase.upper()], at_s),) if row.phase else ()
        yield Report(row.controller, sequence[row.controller], at_s, changes)
