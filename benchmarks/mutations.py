"""Do the tests of the rules notice a fault? Each fault of `mutants.toml` is put in alone, and a test must fail.

    python -m benchmarks mutations --json [--kind KIND] [--update]

Works on a copy of the source; the tests are run on it once as they are, and must pass. `killed_by` is the first test
that failed; a fault that no test notices has none, and makes the exit status 1. With `--update` a row of the committed
result stays where the fault, the file it is put in and its tests are what they were (`digest`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import pages
from benchmarks.machine import describe_machine

LIST = Path(__file__).parent / "mutants.toml"
COPIED = ("engine", "kernels", "proto", "tests", "benchmarks", "footage", "pyproject.toml")
FAILED, PASSED = 1, 0
"""Exit status of pytest."""


class MutantError(Exception):
    """A fault cannot be put in, or the tests do not pass without one."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault."""

    kind: str
    fault: str
    """In words."""
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied(self, text: str) -> str:
        """The source with the fault. Raises MutantError unless the place is there exactly once."""
        if text.count(self.old) != 1:
            raise MutantError(f"{self.file}: {self.old!r} stands there {text.count(self.old)} times, not once")
        return text.replace(self.old, self.new)


def load(path: Path = LIST) -> list[Mutant]:
    """The list, in its order."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))["mutants"]
    return [Mutant(t["kind"], t["fault"], t["file"], t["from"], t["to"], tuple(t["tests"])) for t in tables]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="mutations", description=__doc__)
    parser.add_argument("--kind", help="only the faults of this kind")
    parser.add_argument("--update", action="store_true", help="try only what has changed since the committed result")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    mutants = [mutant for mutant in load() if options.kind in (None, mutant.kind)]
    known = {row["digest"]: row for row in pages.result("mutations")["mutants"]} if options.update else {}
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(Path(folder))
        fresh = [mutant for mutant in mutants if digest(mutant, copy) not in known]
        require_passing(copy, sorted({test for mutant in fresh for test in mutant.tests}))
        known |= {row["digest"]: row for row in tried(copy, fresh)}
        rows = [known[digest(mutant, copy)] for mutant in mutants]
    print(json.dumps(result(rows), indent=2))
    return 0 if all(row["killed_by"] for row in rows) else 1


def copied(folder: Path) -> Path:
    """The source in a folder of its own, without footage and compiled files."""
    unwanted = shutil.ignore_patterns("__pycache__", "*.mp4", "*.truth.json", "results")
    for name in COPIED:
        source = pages.ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=unwanted)
        else:
            shutil.copy(source, folder / name)
    return folder


def digest(mutant: Mutant, root: Path) -> str:
    """Of the fault, and of what it is put in and tried by."""
    content = hashlib.sha256(repr(mutant).encode())
    for name in (mutant.file, *mutant.tests):
        content.update((root / name).read_bytes())
    return content.hexdigest()[:16]


def require_passing(folder: Path, tests: Sequence[str]) -> None:
    """Raises MutantError where the tests fail on the source as it is."""
    status, said = run(folder, tests) if tests else (PASSED, "")
    if status != PASSED:
        raise MutantError(f"the tests do not pass as they are:\n{said}")


def tried(folder: Path, mutants: Sequence[Mutant]) -> Iterator[dict[str, Any]]:
    """Put in one fault after the other, and take it out again."""
    for mutant in mutants:
        path = folder / mutant.file
        sound = path.read_text(encoding="utf-8")
        path.write_text(mutant.applied(sound), encoding="utf-8")
        status, said = run(folder, mutant.tests)
        path.write_text(sound, encoding="utf-8")
        killed_by = first_failure(said) if status == FAILED else None
        row = {**asdict(mutant), "digest": digest(mutant, folder), "killed_by": killed_by}
        print(f"{mutant.kind}: {mutant.fault}: {row['killed_by'] or 'SURVIVED'}", file=sys.stderr)
        yield row


def run(folder: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Exit status and output of the tests, up to the first failure."""
    environment = os.environ | {
        "PYTHONPATH": f"{folder}:{folder / 'proto'}",
        "PYTHONDONTWRITEBYTECODE": "1",  # a fault of the same length within the same second is not seen by a cache
        "NUMBA_CACHE_DIR": str(folder / ".numba"),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def first_failure(said: str) -> str | None:
    """Name of the first test that pytest says failed."""
    found = re.search(r"^FAILED \S+::(\w+)", said, re.MULTILINE)
    return found.group(1) if found else None


def result(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    killed = sum(1 for row in rows if row["killed_by"])
    return {"machine": describe_machine(), "total": {"faults": len(rows), "killed": killed}, "mutants": list(rows)}
