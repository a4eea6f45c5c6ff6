"""`qyran verify` and `qyran keys`, as a person meets them."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from engine.errors import ConfigError
from engine.evidence import load_public_key, load_signing_key
from engine.evidence.folder import Folders
from engine.ledger import SqlLedger
from engine.tools.cli import app
from rig.evidence_bench import store_example


def qyran(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """An engine's state: a key, three signed cases, and the register that has them."""
    assert qyran("keys", "new", tmp_path / "key.pem").exit_code == 0
    folders = Folders(tmp_path / "evidence", "QY-1", load_signing_key(tmp_path / "key.pem"))
    cases = [store_example(folders, number) for number in range(3)]
    with closing(SqlLedger(tmp_path / "ledger.db")) as ledger:
        ledger.append(cases)
    return tmp_path


def case_of(kept: Path, number: int) -> Path:
    return sorted((kept / "evidence").glob("2*/*/*/*"))[number]


def verify_root(kept: Path) -> Result:
    ledger, key = kept / "ledger.db", kept / "key.pem.pub"
    return qyran("verify", "--root", kept / "evidence", "--key", key, "--register", ledger)


def test_a_new_key_says_its_id_and_shows_its_public_half(tmp_path: Path):
    made = qyran("keys", "new", tmp_path / "key.pem")
    assert load_public_key(tmp_path / "key.pem.pub").id in made.output
    shown = qyran("keys", "show", tmp_path / "key.pem")
    assert (tmp_path / "key.pem.pub").read_text() in shown.output
    assert "PRIVATE" not in shown.output


def test_a_whole_case_is_whole(kept: Path):
    done = qyran("verify", case_of(kept, 0), "--key", kept / "key.pem.pub")
    assert (done.exit_code, done.output.strip().endswith("whole")) == (0, True)


def test_without_a_key_it_says_what_was_not_told(kept: Path):
    assert "give --key" in qyran("verify", case_of(kept, 0)).output


def test_a_changed_case_is_named_and_the_status_is_1(kept: Path):
    (case_of(kept, 1) / "clip.mp4").write_bytes(b"forged")
    done = qyran("verify", case_of(kept, 0), case_of(kept, 1))
    assert done.exit_code == 1
    assert "clip.mp4: was changed" in done.output


def test_a_whole_engines_evidence_is_whole(kept: Path):
    done = verify_root(kept)
    assert done.exit_code == 0, done.output
    assert "numbers to 3" in done.output
    assert "3 case(s), whole" in done.output


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_case_that_was_taken_away_is_missing(kept: Path, number: int):
    gone = case_of(kept, number)
    shutil.rmtree(gone)
    done = verify_root(kept)
    assert done.exit_code == 1
    assert f"number {number + 1} is missing: case {gone.name}" in done.output
    assert f"is in the ledger (sequence {number + 1}), but not here" in done.output


def test_a_forged_case_cannot_hide_itself_from_the_console_nor_break_it(kept: Path):
    forged = case_of(kept, 0).with_name("[bold]")
    forged.mkdir()
    listed = {"name": "[/x]", "media_type": "", "size_bytes": 0, "sha256": "0" * 64}
    (forged / "manifest.json").write_text(json.dumps({"schema": 1, "case": "", "files": [listed]}))
    done = verify_root(kept)
    assert done.exit_code == 1
    assert "[bold]" in done.output and "[/x]: is missing" in done.output


def test_another_key_than_the_engines_is_found(kept: Path):
    qyran("keys", "new", kept / "other.pem")
    done = qyran("verify", "--root", kept / "evidence", "--key", kept / "other.pem.pub")
    assert done.exit_code == 1
    assert done.output.count("which is not one of the given keys") == 3


@pytest.mark.parametrize(
    "arguments",
    [[], ["--root", "nowhere"], ["--register", "ledger.db", "case"], ["case", "--key", "nowhere.pub"]],
)
def test_what_cannot_be_asked_is_an_error(arguments: list[str]):
    assert isinstance(qyran("verify", *arguments).exception, ConfigError)
