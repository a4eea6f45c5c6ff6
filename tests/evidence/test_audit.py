"""A whole evidence root: every case, their chain, the engine's record of it and the ledger."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from engine.evidence import SigningKey, audit
from engine.evidence.chain import Seal
from engine.evidence.folder import Folders
from engine.ledger import SqlLedger
from engine.types import Case
from rig.evidence_bench import store_example
from rig.examples import make_document


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "evidence"


def fill(root: Path, key: SigningKey | None, numbers: Sequence[int] = range(5)) -> list[Case]:
    """Cases with a file each, stored one after the other."""
    folders = Folders(root, "QY-1", key)
    return [store_example(folders, number) for number in numbers]


def seal_of(folder: Path) -> Seal:
    return msgspec.json.decode((folder / "seal.json").read_bytes(), type=Seal)


def write_seal(folder: Path, seal: Seal, key: SigningKey) -> None:
    content = msgspec.json.encode(msgspec.structs.replace(seal, public_key=key.public.hex))
    (folder / "seal.json").write_bytes(content)
    (folder / "seal.sig").write_bytes(key.sign(content))


def test_a_complete_root_has_no_problem(root: Path, key: SigningKey):
    fill(root, key)
    found = audit(root, [key.public])
    assert found.problems == []
    assert found.cases == 5
    ((name, links),) = found.links.items()
    assert [link.seal.number for link in links] == [1, 2, 3, 4, 5]
    assert name.startswith("QY-1-")


def test_a_root_without_a_case_has_no_problem(root: Path):
    Folders(root, "QY-1", None)
    assert audit(root).problems == []


def test_a_flipped_bit_is_named_with_its_case(root: Path, key: SigningKey):
    case = fill(root, key)[2]
    (root / case.folder / "clip.mp4").write_bytes(b"\x03" + b"\x02" * 98)
    (problem,) = audit(root, [key.public]).problems
    assert problem == f"{case.folder}: clip.mp4: was changed: its SHA-256 differs"


@pytest.mark.parametrize("has_record", [True, False])
def test_a_removed_case_is_missing_from_the_chain(root: Path, key: SigningKey, has_record: bool):
    cases = fill(root, key)
    shutil.rmtree(root / cases[2].folder)
    if not has_record:
        (root / "chain.db").unlink()
    (problem,) = audit(root, [key.public]).problems
    assert problem.startswith("chain QY-1-")
    assert problem.endswith("number 3 is missing" + (f": case {cases[2].id}" if has_record else ""))


def test_a_removed_first_case_is_missing_from_the_chain(root: Path, key: SigningKey):
    cases = fill(root, key)
    shutil.rmtree(root / cases[0].folder)
    (root / "chain.db").unlink()
    assert audit(root).problems[0].endswith("number 1 is missing")


def test_a_removed_case_cannot_be_hidden_by_renumbering_without_the_key(root: Path, key, other_key):
    cases = fill(root, key)
    shutil.rmtree(root / cases[2].folder)
    (root / "chain.db").unlink()
    before = (root / cases[1].folder / "seal.json").read_bytes()
    for number, case in enumerate(cases[3:], start=3):
        changed = msgspec.structs.replace(
            seal_of(root / case.folder), number=number, previous_sha256=hashlib.sha256(before).hexdigest()
        )
        write_seal(root / case.folder, changed, other_key)
        before = (root / case.folder / "seal.json").read_bytes()
    assert audit(root).problems == []
    assert len(audit(root, [key.public]).problems) == 2


def test_a_case_signed_again_breaks_the_chain_and_differs_from_the_record(root: Path, key, other_key):
    cases = fill(root, key)
    forged = root / cases[2].folder
    write_seal(forged, seal_of(forged), other_key)
    problems = audit(root).problems
    assert f"{cases[3].folder}: does not follow {cases[2].folder}: its seal names another seal before it" in problems
    assert any("is not the seal that the engine committed" in line for line in problems)
    assert any("which is not one of the given keys" in line for line in audit(root, [key.public]).problems)


def test_an_inserted_case_is_found(root: Path, tmp_path: Path, key: SigningKey):
    fill(root, key)
    (other,) = fill(tmp_path / "elsewhere", key, [7])
    shutil.copytree(tmp_path / "elsewhere" / other.folder, root / other.folder)
    (problem,) = audit(root, [key.public]).problems
    assert problem.startswith(f"{other.folder}: belongs to the chain QY-1-")
    assert problem.endswith("which is not this engine's")


def test_a_case_with_the_number_of_another_is_found(root: Path, key: SigningKey):
    cases = fill(root, key)
    (root / "chain.db").unlink()
    twin = root / cases[3].folder
    write_seal(twin, msgspec.structs.replace(seal_of(twin), number=3), key)
    problems = audit(root, [key.public]).problems
    assert f"{cases[3].folder}: has the number 3 of {cases[2].folder}" in problems
    assert any(line.endswith("number 4 is missing") for line in problems)


def test_a_forged_number_far_beyond_the_others_does_not_slow_the_audit(root: Path, key: SigningKey):
    case = fill(root, key)[4]
    (root / "chain.db").unlink()
    forged = root / case.folder
    write_seal(forged, msgspec.structs.replace(seal_of(forged), number=10**12), key)
    (problem,) = audit(root, [key.public]).problems
    assert problem.endswith(f"{10**12 - 5} numbers between 4 and {10**12} are missing")


def test_a_case_in_the_folder_of_another_day_is_found(root: Path, key: SigningKey):
    case = fill(root, key)[0]
    moved = root / "2026" / "05" / "29" / case.id
    moved.parent.mkdir()
    (root / case.folder).rename(moved)
    assert audit(root).problems == [f"2026/05/29/{case.id}: belongs to {case.folder}"]


def test_a_folder_that_was_set_aside_is_a_problem_but_leaves_no_hole(root: Path, key: SigningKey):
    case = fill(root, key)[1]
    (root / case.folder / "clip.mp4").write_bytes(b"")
    folders = Folders(root, "QY-1", key)
    assert folders.find(case.id, case.occurred_s) is None
    assert store_example(folders, 1) == case
    assert audit(root).problems == [
        f"{case.folder}.damaged-1: is damaged and was set aside",
        f"{case.folder}.damaged-1: has the number 2 of {case.folder}",
    ]


# -- the last cases


def test_a_removed_last_case_is_found_by_the_record(root: Path, key: SigningKey):
    cases = fill(root, key)
    shutil.rmtree(root / cases[4].folder)
    (problem,) = audit(root, [key.public]).problems
    assert problem.endswith(f"number 5 is missing: case {cases[4].id}")


def test_removed_last_cases_are_found_by_the_ledger_when_the_record_is_removed_too(root: Path, tmp_path: Path, key):
    cases = fill(root, key)
    with closing(SqlLedger(tmp_path / "ledger.db")) as ledger:
        ledger.append(cases)
        entries = ledger.read(0, 100)
    assert audit(root, [key.public], entries).problems == []
    for case in cases[3:]:
        shutil.rmtree(root / case.folder)
    (root / "chain.db").unlink()
    assert audit(root, [key.public]).problems == []
    assert audit(root, [key.public], entries).problems == [
        f"{case.folder}: is in the ledger (sequence {sequence}), but not here"
        for sequence, case in zip((4, 5), cases[3:], strict=True)
    ]


def test_an_emptied_root_is_found_by_the_ledger(root: Path, tmp_path: Path, key: SigningKey):
    with closing(SqlLedger(tmp_path / "ledger.db")) as ledger:
        ledger.append(fill(root, key))
        shutil.rmtree(root)
        root.mkdir()
        assert len(audit(root, [key.public], ledger.read(0, 100)).problems) == 5


def test_a_case_that_the_ledger_does_not_have_is_found(root: Path, tmp_path: Path, key: SigningKey):
    cases = fill(root, key)
    with closing(SqlLedger(tmp_path / "ledger.db")) as ledger:
        ledger.append(cases[:4])
        assert audit(root, (), ledger.read(0, 100)).problems == [f"{cases[4].folder}: is not in the ledger"]


def test_cases_of_another_engine_in_the_same_ledger_are_not_expected(root: Path, tmp_path: Path, key):
    own = fill(root, key, [0, 1])
    other = Folders(tmp_path / "other", "QY-2", key)
    device = msgspec.structs.replace(make_document().device, serial="QY-2")
    foreign = store_example(other, 2, device=device)
    with closing(SqlLedger(tmp_path / "ledger.db")) as ledger:
        ledger.append([*own, foreign])
        entries = ledger.read(0, 100)
    assert audit(root, [key.public], entries).problems == []
    assert audit(tmp_path / "other", [key.public], entries).problems == []


# -- a chain over time


def test_a_rotated_key_continues_the_chain(root: Path, key: SigningKey, other_key: SigningKey):
    fill(root, key, [0, 1])
    fill(root, other_key, [2, 3])
    assert audit(root, [key.public, other_key.public]).problems == []
    assert len(audit(root, [other_key.public]).problems) == 2


def test_a_chain_continues_after_a_restart_and_another_root_has_another(root: Path, key: SigningKey, tmp_path: Path):
    fill(root, key, [0, 1])
    fill(root, key, [2])
    fill(tmp_path / "other", key, [2])
    ((name, links),) = audit(root).links.items()
    assert [link.seal.number for link in links] == [1, 2, 3]
    assert name not in audit(tmp_path / "other").links


def test_the_content_of_a_case_does_not_depend_on_its_place_in_the_chain(root: Path, tmp_path: Path, key: SigningKey):
    one = fill(root, key, [0, 1, 2])[2]
    (same,) = fill(tmp_path / "other", None, [2])
    assert one == same
    manifests = [(path / one.folder / "manifest.json").read_bytes() for path in (root, tmp_path / "other")]
    assert manifests[0] == manifests[1]
