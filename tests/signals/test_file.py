"""Phases from files: JSON lines and CSV give the same, and errors name the line."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.signals import Change, Report, read_reports
from engine.types import Phase

NOON_S = dt.datetime(2026, 6, 1, 7, tzinfo=dt.UTC).timestamp()
LINES = """\
{"controller": "c", "sequence": 1, "reported_at": "2026-06-01T12:00:05+05:00", "changes": [{"group": "K1", "phase": "red", "began_at": "2026-06-01T12:00:00+05:00"}]}

{"controller": "c", "sequence": 2, "reported_at": "2026-06-01T07:00:30Z"}
"""  # noqa: E501
CSV = """\
controller,at,group,phase
c,2026-06-01T12:00:00+05:00,K1,red_amber
d,2026-06-01T12:00:01+05:00,K1,barrier_closed
c,2026-06-01T12:00:30+05:00,,
"""


def read(folder: Path, name: str, text: str) -> list[Report]:
    path = folder / name
    path.write_text(text)
    return list(read_reports(path))


def test_json_lines_are_reports(tmp_path: Path) -> None:
    assert read(tmp_path, "phases.jsonl", LINES) == [
        Report("c", 1, NOON_S + 5, (Change("K1", Phase.RED, NOON_S),)),
        Report("c", 2, NOON_S + 30),
    ]


def test_csv_rows_are_reports_counted_by_controller(tmp_path: Path) -> None:
    assert read(tmp_path, "phases.csv", CSV) == [
        Report("c", 1, NOON_S, (Change("K1", Phase.RED_AMBER, NOON_S),)),
        Report("d", 1, NOON_S + 1, (Change("K1", Phase.BARRIER_CLOSED, NOON_S + 1),)),
        Report("c", 2, NOON_S + 30),
    ]


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("p.jsonl", LINES.replace('"red"', '"pink"'), r"p.jsonl: line 1: .*phase"),
        ("p.jsonl", LINES.replace("07:00:30Z", "07:00:30"), r"p.jsonl: line 3: .*reported_at"),
        ("p.jsonl", LINES.replace('"sequence": 2', '"number": 2'), r"p.jsonl: line 3: .*number"),
        ("p.jsonl", "nonsense", r"p.jsonl: line 1: "),
        ("p.csv", CSV.replace("red_amber", "pink"), r"p.csv: line 2: .*phase"),
        ("p.csv", CSV.replace("K1,red_amber", ",red_amber"), r"p.csv: line 2: group and phase must be set together"),
        ("p.csv", CSV.replace(",phase", ",colour"), r"p.csv: line 2: .*colour"),
        ("p.csv", CSV + "c,2026-06-01T12:00:31+05:00,K1,red,more\n", r"p.csv: line 5: "),
        ("p.txt", CSV, r"p.txt: the file of phases must be .jsonl or .csv"),
    ],
)
def test_the_error_names_the_line(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        read(tmp_path, name, text)
