"""Measure how many small faults in the rules the tests notice.

    python -m benchmarks mutations [--kind NAME ...] [--sample N] [--seed S] > benchmarks/results/mutations.json

The command changes the syntax tree of one file at a time, in a temporary copy of the tree, and runs the tests of that
kind. A mutant is a file with one change. If no test fails, the mutant is a survivor.

mutmut and cosmic-ray run one test command for all files, and bring 6 and 12 packages and a session store with them.
We need the tests of each kind and a seeded sample for each kind: this module is shorter than their configuration.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import pages
from benchmarks.machine import describe_machine

KINDS = Path("engine/rules/kinds")
"""Folder of the files to mutate: one file a kind, and modules that kinds share."""
COPIED = ("engine", "kernels", "proto", "tests", "benchmarks", "docs", "footage", "rig", "pyproject.toml")
HANG_S = 60
"""Time limit of one test with a mutant. A test that takes longer has noticed the mutant."""
DECLARATIONS = {"annotation", "returns", "decorator_list", "bases", "keywords"}
"""Fields of classes, functions and assignments that are not mutated."""
_PAIRS = "Lt GtE, Gt LtE, Eq NotEq, In NotIn, Is IsNot, And Or, BitAnd BitOr, Add Sub, Mult Div, USub UAdd"
OPERATORS = {
    getattr(ast, a): getattr(ast, b) for x, y in map(str.split, _PAIRS.split(",")) for a, b in ((x, y), (y, x))
}
FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any"}


class MutationError(Exception):
    """A file has no tests that pass without a mutant."""


class Mutant(NamedTuple):
    """A source file with one change, and the change as `LINE: BEFORE -> AFTER`."""

    change: str
    source: str


def mutate(source: str) -> Iterator[Mutant]:
    """Every mutant of a source file, in the order of the file."""
    tree = ast.parse(source)
    for line, parent, field, index, node in list(_walk(tree, 1)):
        for new in _replacements(node):
            before = ast.unparse(node if isinstance(node, ast.stmt) else parent).partition("\n")[0]
            _put(parent, field, index, new)
            after = ast.unparse(new if isinstance(node, ast.stmt) else parent).partition("\n")[0]
            yield Mutant(f"{line}: {before} -> {after}", ast.unparse(tree) + "\n")
            _put(parent, field, index, node)


def _walk(parent: ast.AST, line: int) -> Iterator[tuple[int, ast.AST, str, int | None, ast.AST]]:
    """Line, parent, field, index in the field (None if it is no list) and node, for each node that may be mutated."""
    declares = isinstance(parent, ast.ClassDef | ast.FunctionDef | ast.AnnAssign | ast.arg)
    for field, value in ast.iter_fields(parent):
        for index, node in enumerate(value) if isinstance(value, list) else ((None, value),):
            if isinstance(node, ast.AST) and not _is_inert(node) and not (declares and field in DECLARATIONS):
                yield getattr(node, "lineno", line), parent, field, index, node
                yield from _walk(node, getattr(node, "lineno", line))


def _is_inert(node: ast.AST) -> bool:
    """True for formatted texts, patterns and `strict=` of zip: a change there is no fault of a rule."""
    return isinstance(node, ast.JoinedStr | ast.pattern) or (isinstance(node, ast.keyword) and node.arg == "strict")


def _put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def _replacements(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() | float() as value):
            yield ast.Constant(2 * value + 1)
        case ast.Name(name) if name in FUNCTIONS:
            yield ast.Name(FUNCTIONS[name])
        case ast.If(body=[*_, ast.Return() | ast.Continue() | ast.Break() | ast.Raise()], orelse=[]):
            yield ast.Pass()
        case _ if type(node) in OPERATORS:
            yield OPERATORS[type(node)]()


def list_files(root: Path = pages.ROOT) -> list[Path]:
    """The files to mutate, by name."""
    return sorted((root / KINDS).glob("[a-z]*.py"))


def find_tests(kind: str, root: Path = pages.ROOT) -> list[str]:
    """The test files with the name of the kind; else the tests of rules that name it; else all tests of rules."""
    files = sorted(path.relative_to(root) for path in (root / "tests").rglob("test_*.py"))
    named = [file for file in files if re.fullmatch(rf"test_(\w+_)?{kind}", file.stem)]
    rules = [file for file in files if "rules" in re.split(r"[/_.]", str(file))]
    naming = [file for file in rules if kind in (root / file).read_text(encoding="utf-8")]
    return [str(file) for file in named or naming or rules]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks mutations")
    parser.add_argument("--kind", nargs="+", help="only these files, without .py")
    parser.add_argument("--sample", type=int, metavar="N", help="at most N mutants of each file; default: all")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample; default: 0")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        root = copy_tree(Path(folder))
        files = [path for path in list_files(root) if options.kind is None or path.stem in options.kind]
        kinds = {path.stem: measure(path, root, options.sample, options.seed) for path in files}
    sample = {"sample": options.sample, "seed": options.seed}
    print(json.dumps({"machine": describe_machine(), **sample, "kinds": kinds}, indent=2))
    return 0


def copy_tree(folder: Path) -> Path:
    """Copy the source, without footage, results and compiled files, into `folder`. Returns `folder`."""
    unwanted = shutil.ignore_patterns("__pycache__", "*.mp4", "*.truth.json", "*.nb[ic]", "results")
    for source in (pages.ROOT / name for name in COPIED):
        if source.is_dir():
            shutil.copytree(source, folder / source.name, ignore=unwanted)
        else:
            shutil.copy(source, folder)
    return folder


def measure(path: Path, root: Path, sample: int | None, seed: int) -> dict[str, Any]:
    """Run the tests on the mutants of one file. Raises MutationError if they do not pass on the unchanged file."""
    original, tests = path.read_text(encoding="utf-8"), find_tests(path.stem, root)
    mutants = list(mutate(original))
    if sample is not None and sample < len(mutants):
        mutants = random.Random(f"{seed} {path.stem}").sample(mutants, sample)
    if failure := run_tests(tests, root):
        raise MutationError(f"{path.name}: its tests do not pass on the unchanged file:\n{failure}")
    survivors = []
    for mutant in mutants:
        path.write_text(mutant.source, encoding="utf-8")
        if not run_tests(tests, root, f"--timeout={HANG_S}"):
            survivors.append(mutant.change)
            print(f"{path.name}:{mutant.change}", file=sys.stderr)
    path.write_text(original, encoding="utf-8")
    return {"tests": tests, "mutants": len(mutants), "killed": len(mutants) - len(survivors), "survivors": survivors}


def run_tests(tests: Sequence[str], root: Path, *options: str) -> str:
    """Run tests in the tree at `root`, up to the first failure. Returns the output if they fail, "" if they pass."""
    environment = os.environ | {
        "PYTHONPATH": f"{root}:{root / 'proto'}",
        "PYTHONDONTWRITEBYTECODE": "1",  # Python sees no change of equal length within the same second (PEP 552)
        "NUMBA_CACHE_DIR": str(root / ".numba"),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *options, *tests]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    return (done.stdout + done.stderr) if done.returncode else ""
