"""`qyran verify`: is the evidence what the engine wrote, all of it and nothing else?"""

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


def verify(
    cases: Sequence[Path], root: Path | None, keys: Sequence[Path], ledger: Path | None, console: Console
) -> bool:
    """Verify single cases, a whole evidence root, or both; print what is wrong. False where something is.

    Raises ConfigError for a key or register that is not there, or where nothing was asked for.
    """
    if not cases and root is None:
        raise ConfigError("nothing to verify: name folders of cases, or the evidence with --root")
    if ledger is not None and root is None:
        raise ConfigError("--register needs --root: it is held against all the evidence of an engine")
    known = [load_public_key(path) for path in keys]
    whole = [_verify_case(folder, known, console) for folder in cases]
    if root is not None:
        whole.append(_verify_root(root, known, ledger, console))
    if not known:
        console.print("signatures were held against the key that each seal names: give --key to say whose it must be")
    return all(whole)


def _verify_case(folder: Path, keys: Sequence[PublicKey], console: Console) -> bool:
    problems = verify_case(folder.resolve(), keys)
    console.print(f"{folder}: " + ("; ".join(problems) or "whole"))
    return not problems


def _verify_root(root: Path, keys: Sequence[PublicKey], ledger: Path | None, console: Console) -> bool:
    if not root.is_dir():
        raise ConfigError(f"{root}: no such folder")
    found = audit(root, keys, entries(ledger) if ledger else None, _removed(ledger) if ledger else None)
    for problem in found.problems:
        console.print(problem)
    for name, links in sorted(found.links.items()):
        signers = sorted({link.seal.key.id if link.seal.key else "nobody" for link in links})
        console.print(f"chain {name}: numbers to {links[-1].seal.number}, signed by {', '.join(signers)}")
    console.print(
        f"{root}: {found.cases} case(s), " + (f"{len(found.problems)} problem(s)" if found.problems else "whole")
    )
    return not found.problems


def _removed(path: Path) -> Mapping[str, str]:
    """The cases that retention took away, by id, with the SHA-256 of their seals. Raises ConfigError, LedgerError."""
    gone = (entry.case for entry in entries(path, Filter(removed=True)) if entry.removed_s is not None)
    return {case.id: next((file.sha256 for file in case.files if file.name == SEAL), "") for case in gone}


def entries(path: Path, wanted: Filter = EVERYTHING) -> Iterator[Entry]:
    """All of a register that is there and wanted, ascending. Raises ConfigError, LedgerError."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such ledger")
    with closing(SqlLedger(path)) as ledger:
        after = 0
        while page := ledger.read(after, PAGE, wanted):
            yield from page
            after = page[-1].sequence
