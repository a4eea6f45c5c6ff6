"""Verification of evidence: every file is unchanged, no case is missing, no case was added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console

from engine.errors import ConfigError
from engine.evidence import PublicKey, audit, load_public_key, verify_case
from engine.evidence.manifest import SEAL
from engine.ledger import EVERYTHING, Filter, SqlLedger
from engine.types import Entry

PAGE = 256
"""Entries that are read from the ledger at once."""


def verify_evidence(
    cases: Sequence[Path], root: Path | None, keys: Sequence[Path], ledger: Path | None, console: Console
) -> bool:
    """Verify single cases, a whole evidence folder, or both; print the problems. Returns True if there is none.

    Raises ConfigError if a key or the ledger does not exist, or if there is nothing to verify.
    """
    if not cases and root is None:
        raise ConfigError("nothing to verify: give folders of cases, or the evidence folder with --root")
    if ledger is not None and root is None:
        raise ConfigError("--ledger needs --root: it is compared with all evidence of an engine")
    trusted = [load_public_key(path) for path in keys]
    whole = [_verify_case(folder, trusted, console) for folder in cases]
    if root is not None:
        whole.append(_verify_root(root, trusted, ledger, console))
    if not trusted:
        console.print("each signature was checked with the key that its own seal names: give --key to require your key")
    return all(whole)


def _verify_case(folder: Path, keys: Sequence[PublicKey], console: Console) -> bool:
    problems = verify_case(folder.resolve(), keys)
    console.print(f"{folder}: " + ("; ".join(problems) or "whole"))
    return not problems


def _verify_root(root: Path, keys: Sequence[PublicKey], ledger: Path | None, console: Console) -> bool:
    if not root.is_dir():
        raise ConfigError(f"{root}: no such folder")
    found = audit(root, keys, read_entries(ledger) if ledger else None, _removed(ledger) if ledger else None)
    for problem in found.problems:
        console.print(problem)
    for name, links in sorted(found.links.items()):
        signers = sorted({link.seal.key.id if link.seal.key else "no key" for link in links})
        console.print(f"chain {name}: numbers to {links[-1].seal.number}, signed by {', '.join(signers)}")
    console.print(
        f"{root}: {found.cases} case(s), " + (f"{len(found.problems)} problem(s)" if found.problems else "whole")
    )
    return not found.problems


def _removed(path: Path) -> Mapping[str, str]:
    """The SHA-256 of the seal of each case that retention removed, by case id. Raises ConfigError or LedgerError."""
    removed = (entry.case for entry in read_entries(path, Filter(removed=True)) if entry.removed_s is not None)
    return {case.id: next((file.sha256 for file in case.files if file.name == SEAL), "") for case in removed}


def read_entries(path: Path, matching: Filter = EVERYTHING) -> Iterator[Entry]:
    """The entries of a ledger file that match, ascending. Raises ConfigError if there is no file, or LedgerError."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such ledger")
    with closing(SqlLedger(path)) as ledger:
        after = 0
        while page := ledger.read(after, PAGE, matching):
            yield from page
            after = page[-1].sequence
