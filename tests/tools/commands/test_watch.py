"""The file of `qyran watch --out`: each entry once, even after crashes."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigError
from engine.tools.commands.watch import LinesFile


def line(sequence: int, filling: str = "") -> str:
    return json.dumps({"sequence": sequence, "filling": filling})


def test_a_new_file_starts_at_sequence_zero(tmp_path: Path) -> None:
    with closing(LinesFile(tmp_path / "cases.jsonl")) as lines:
        assert lines.last_sequence == 0


def test_a_file_continues_after_its_last_line(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(line(1) + "\n" + line(2) + "\n")
    with closing(LinesFile(path)) as lines:
        assert lines.last_sequence == 2
        lines.write(line(3))
    assert [json.loads(text)["sequence"] for text in path.read_text().splitlines()] == [1, 2, 3]


@given(cut=st.integers(min_value=0), sizes=st.lists(st.integers(0, 100_000), max_size=5))
def test_a_line_that_was_cut_off_is_written_again(
    tmp_path_factory: pytest.TempPathFactory, cut: int, sizes: list[int]
) -> None:
    path = tmp_path_factory.mktemp("watch") / "cases.jsonl"
    whole = "".join(line(number, "x" * size) + "\n" for number, size in enumerate(sizes, start=1)).encode()
    kept = whole[: cut % (len(whole) + 1)]
    path.write_bytes(kept)
    with closing(LinesFile(path)) as lines:
        assert lines.last_sequence == kept.count(b"\n")
        for number in range(lines.last_sequence + 1, len(sizes) + 1):
            lines.write(line(number, "x" * sizes[number - 1]))
    assert path.read_bytes() == whole


def test_two_watchers_cannot_write_one_file(tmp_path: Path) -> None:
    with closing(LinesFile(tmp_path / "cases.jsonl")) as held:
        with pytest.raises(ConfigError, match="another process is writing"):
            LinesFile(tmp_path / "cases.jsonl")
        held.write(line(1))


def test_a_file_without_entries_is_refused_and_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "letters.txt"
    path.write_text("Dear Sir\n")
    with pytest.raises(ConfigError, match="not an entry of a ledger"):
        LinesFile(path)
    assert path.read_text() == "Dear Sir\n"
