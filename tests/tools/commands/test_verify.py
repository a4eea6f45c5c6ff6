"""`qyran verify` and `qyran keys`."""

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
def state(tmp_path: Path) -> Path:
    """State of an engine: a key, three signed cases, and a ledger with these cases."""
    assert qyran("keys", "new", tmp_path / "key.pem").exit_code == 0
    folders = Folders(tmp_path / "evidence", "QY-1", load_signing_key(tmp_path / "key.pem"))
    cases = [store_example(folders, number) for number in range(3)]
    with closing(SqlLedger(tmp_path / "ledger.db")) as ledger:
        ledger.append(cases)
    return tmp_path


def case_of(state: Path, number: int) -> Path:
    return sorted((state / "evidence").glob("2*/*/*/*"))[number]


def verify_root(state: Path, option: str = "--ledger") -> Result:
    ledger, key = state / "ledger.db", state / "key.pem.pub"
    return qyran("verify", "--root", state / "evidence", "--key", key, option, ledger)


def test_a_new_key_prints_its_id_and_show_prints_its_public_key(tmp_path: Path):
    made = qyran("keys", "new", tmp_path / "key.pem")
    assert load_public_key(tmp_path / "key.pem.pub").id in made.output
    shown = qyran("keys", "show", tmp_path / "key.pem")
    assert (tmp_path / "key.pem.pub").read_text() in shown.output
    assert "PRIVATE" not in shown.output


def test_an_unchanged_case_is_whole(state: Path):
    done = qyran("verify", case_of(state, 0), "--key", state / "key.pem.pub")
    assert (done.exit_code, done.output.strip().endswith("whole")) == (0, True)


def test_without_a_key_verify_asks_for_one(state: Path):
    assert "give --key" in qyran("verify", case_of(state, 0)).output


def test_a_changed_case_is_named_and_the_exit_status_is_1(state: Path):
    (case_of(state, 1) / "clip.mp4").write_bytes(b"forged")
    done = qyran("verify", case_of(state, 0), case_of(state, 1))
    assert done.exit_code == 1
    assert "clip.mp4: was changed" in done.output


@pytest.mark.parametrize("option", ["--ledger", "--register"])
def test_all_evidence_of_an_engine_is_whole(state: Path, option: str):
    done = verify_root(state, option)
    assert done.exit_code == 0, done.output
    assert "numbers to 3" in done.output
    assert "3 case(s), whole" in done.output


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_removed_case_is_missing(state: Path, number: int):
    gone = case_of(state, number)
    shutil.rmtree(gone)
    done = verify_root(state)
    assert done.exit_code == 1
    assert f"number {number + 1} is missing: case {gone.name}" in done.output
    assert f"is in the ledger (sequence {number + 1}), but not here" in done.output


def test_console_markup_in_a_forged_case_is_printed_as_text(state: Path):
    forged = case_of(state, 0).with_name("[bold]")
    forged.mkdir()
    listed = {"name": "[/x]", "media_type": "", "size_bytes": 0, "sha256": "0" * 64}
    (forged / "manifest.json").write_text(json.dumps({"schema": 1, "case": "", "files": [listed]}))
    done = verify_root(state)
    assert done.exit_code == 1
    assert "[bold]" in done.output and "[/x]: is missing" in done.output


def test_a_signature_by_another_key_is_reported(state: Path):
    qyran("keys", "new", state / "other.pem")
    done = qyran("verify", "--root", state / "evidence", "--key", state / "other.pem.pub")
    assert done.exit_code == 1
    assert done.output.count("which is not one of the given keys") == 3


@pytest.mark.parametrize(
    "arguments", [[], ["--root", "nowhere"], ["--ledger", "ledger.db", "case"], ["case", "--key", "nowhere.pub"]]
)
def test_invalid_arguments_are_an_error(arguments: list[str]):
    assert isinstance(qyran("verify", *arguments).exception, ConfigError)
