"""The mutation check: the mutator, on small sources, and the count of survivors, on a small tree."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmarks import mutations


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("x = a < b", {"x = a >= b"}),
        ("x = a == b is c", {"x = a != b is c", "x = a == b is not c"}),
        ("x = a and b", {"x = a or b"}),
        ("x = not a", {"x = a"}),
        ("x = -a * b", {"x = +a * b", "x = -a / b"}),
        ("x += a", {"x -= a"}),
        ("x = 60.0", {"x = 121.0"}),
        ("x = True", {"x = False"}),
        ("x = min(a)", {"x = max(a)"}),
        ("if a:\n    raise b", {"pass"}),
        ("if a:\n    b()", set()),
        ("if a:\n    raise b\nelse:\n    c()", set()),
        ("x = f'{a + 1}'", set()),
        ("x = zip(a, strict=True)", set()),
        ("match a:\n    case -1:\n        b()", set()),
        ("@d(k=True)\nclass A(B, k=1):\n    x: C[2] = a", set()),
        ("@d(1)\ndef f(x: a < b) -> a < b:\n    'Text.'", set()),
    ],
)
def test_mutate_makes_one_change_at_a_time(source: str, changed: set[str]) -> None:
    assert {mutant.source.strip() for mutant in mutations.mutate(source)} == changed


def test_mutate_names_the_line_and_the_change() -> None:
    source = "def f(a):\n    if a > 1:\n        return None\n    return a\n"
    assert [mutant.change for mutant in mutations.mutate(source)] == [
        "2: if a > 1: -> pass",
        "2: a > 1 -> a <= 1",
        "2: a > 1 -> a > 3",
    ]


@pytest.mark.parametrize("path", mutations.list_files(), ids=lambda path: path.stem)
def test_every_kind_has_tests_and_mutants_that_parse(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    unchanged = ast.unparse(ast.parse(source)) + "\n"
    for mutant in mutations.mutate(source):
        compile(mutant.source, mutant.change, "exec")
        assert mutant.source != unchanged
    assert mutations.find_tests(path.stem)


def test_a_kind_is_tested_by_the_file_of_its_name_and_a_shared_module_by_all_rules(tmp_path: Path) -> None:
    (tmp_path / "tests" / "rules").mkdir(parents=True)
    every = [f"tests/{name}.py" for name in ("rules/test_bus_lane", "rules/test_turn", "test_rules_u_turn", "test_gpu")]
    for name in every:
        (tmp_path / name).touch()
    assert mutations.find_tests("bus_lane", tmp_path) == every[:1]
    assert mutations.find_tests("shared", tmp_path) == every[:3]


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_rule.py").write_text(
        "import rule\n\n\ndef test_limit():\n    assert rule.LIMIT == 60\n"
    )
    (tmp_path / "rule.py").write_text("LIMIT = 60\nUNUSED = 1\n")
    return tmp_path / "rule.py"


def test_measure_reports_survivors_and_restores_the_file(rule: Path) -> None:
    found = mutations.measure(rule, rule.parent, sample=None, seed=0)
    tests, survivors = ["tests/test_rule.py"], ["2: UNUSED = 1 -> UNUSED = 3"]
    assert found == {"tests": tests, "mutants": 2, "killed": 1, "survivors": survivors}
    assert rule.read_text() == "LIMIT = 60\nUNUSED = 1\n"
    assert mutations.measure(rule, rule.parent, sample=1, seed=0)["mutants"] == 1


def test_measure_refuses_tests_that_fail_on_the_unchanged_file(rule: Path) -> None:
    rule.write_text("LIMIT = 50\n")
    with pytest.raises(mutations.MutationError, match="do not pass on the unchanged file"):
        mutations.measure(rule, rule.parent, sample=None, seed=0)
