"""The protocol keeps to its style (`buf lint`) and to what others have built on (`buf breaking`)."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

PROTO = Path(__file__).parents[1] / "proto"
RELEASED = PROTO / "released.binpb"
"""What clients may have been built from. `make proto-release` renews it, when a release is made."""


def buf(*arguments: str, folder: Path = PROTO) -> subprocess.CompletedProcess[str]:
    command = [Path(sysconfig.get_path("scripts")) / "buf", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The protocol, to be changed."""
    return Path(shutil.copytree(PROTO, tmp_path / "proto", ignore=shutil.ignore_patterns("*.py*")))


def change(folder: Path, old: str, new: str) -> None:
    path = folder / "qyran" / "v1" / "violation_service.proto"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_protocol_keeps_to_its_style() -> None:
    assert buf("lint").stdout == ""


def test_the_protocol_is_compatible_with_the_released_one() -> None:
    done = buf("breaking", "--against", str(RELEASED))
    assert (done.returncode, done.stdout) == (0, "")


def test_bad_style_is_noticed(copy: Path) -> None:
    change(copy, "string case_id = 1;", "string caseId = 1;")
    assert "snake_case" in buf("lint", folder=copy).stdout


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("int64 after_sequence = 1;", "int32 after_sequence = 1;"),
        ("string case_id = 1;", "string case_id = 7;"),
        ("  rpc ReviewCase(ReviewCaseRequest) returns (ReviewCaseResponse);\n", ""),
    ],
)
def test_a_change_that_breaks_clients_is_noticed(copy: Path, old: str, new: str) -> None:
    change(copy, old, new)
    assert buf("breaking", "--against", str(RELEASED), folder=copy).returncode != 0


def test_an_addition_is_compatible(copy: Path) -> None:
    change(copy, "message AcknowledgeResponse {", "message AcknowledgeResponse {\n  string note = 9;")
    assert buf("breaking", "--against", str(RELEASED), folder=copy).returncode == 0
