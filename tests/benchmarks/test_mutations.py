"""The list of faults: every one can be put in, every judged kind has some, and a fault that nobody notices is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmarks import mutations, pages
from engine.rules.kinds import judged_kinds

MUTANTS = mutations.load()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: f"{one.kind}: {one.fault}".replace(" ", "-"))
def test_a_fault_can_be_put_in(mutant: mutations.Mutant) -> None:
    sound = (pages.ROOT / mutant.file).read_text(encoding="utf-8")
    broken = mutant.applied(sound)
    assert broken != sound
    compile(broken, mutant.file, "exec")
    assert all((pages.ROOT / test).is_file() for test in mutant.tests)


def test_a_place_that_is_not_there_or_not_alone_is_refused() -> None:
    mutant = mutations.Mutant("speeding", "none", "a.py", "x", "y", ())
    for text in ("abc", "x = x"):
        with pytest.raises(mutations.MutantError, match="not once"):
            mutant.applied(text)


def test_every_judged_kind_has_faults() -> None:
    assert {mutant.kind for mutant in MUTANTS} >= judged_kinds()


def test_a_noticed_fault_names_the_test_and_an_unnoticed_one_none(tmp_path: Path) -> None:
    (tmp_path / "rule.py").write_text("LIMIT = 60\nUNUSED = 1\n")
    (tmp_path / "test_rule.py").write_text("import rule\n\n\ndef test_limit():\n    assert rule.LIMIT == 60\n")
    faults = [("60", "50"), ("UNUSED = 1", "UNUSED = 2")]
    mutants = [mutations.Mutant("speeding", "one", "rule.py", old, new, ("test_rule.py",)) for old, new in faults]
    noticed, unnoticed = mutations.tried(tmp_path, mutants)
    assert (noticed["killed_by"], unnoticed["killed_by"]) == ("test_limit", None)
    assert (tmp_path / "rule.py").read_text() == "LIMIT = 60\nUNUSED = 1\n"


def test_a_row_is_known_again_until_its_fault_its_file_or_its_tests_change(tmp_path: Path) -> None:
    for name in ("rule.py", "test_rule.py"):
        (tmp_path / name).write_text("x = 1\n")
    mutant = mutations.Mutant("speeding", "one", "rule.py", "1", "2", ("test_rule.py",))
    before = mutations.digest(mutant, tmp_path)
    assert mutations.digest(mutant, tmp_path) == before
    assert mutations.digest(dataclasses.replace(mutant, new="3"), tmp_path) != before
    for name in ("rule.py", "test_rule.py"):
        (tmp_path / name).write_text("x = 1  # other\n")
        assert mutations.digest(mutant, tmp_path) != before
        before = mutations.digest(mutant, tmp_path)


def test_tests_that_fail_without_a_fault_prove_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_rule.py").write_text("def test_limit():\n    assert False\n")
    with pytest.raises(mutations.MutantError, match="do not pass as they are"):
        mutations.require_passing(tmp_path, ["test_rule.py"])


def test_the_committed_result_notices_every_fault_of_the_list() -> None:
    rows = pages.result("mutations")["mutants"]
    assert [(row["kind"], row["fault"]) for row in rows] == [(one.kind, one.fault) for one in MUTANTS]
    assert all(row["killed_by"] for row in rows)
