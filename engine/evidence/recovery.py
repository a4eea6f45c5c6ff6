"""Finds cases that are on the disk but not in the ledger, after a crash or an outage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import structlog

from engine.evidence.chain import CHAIN, is_committed
from engine.evidence.folder import ASIDE, case_folder, load
from engine.evidence.manifest import read_seal, verify_case
from engine.types import Case

log = structlog.get_logger()

DAY_S = 86_400.0


def stored_cases(root: Path, is_known: Callable[[str], bool], *, days: int = 2) -> Iterator[Case]:
    """The complete cases of the newest `days` days that are not known.

    Leaves out damaged folders, and folders that this engine did not seal or did not put there.
    """
    for day in _newest(root, days):
        for folder in sorted(path for path in day.iterdir() if path.is_dir() and ASIDE not in path.name):
            if not is_known(folder.name) and _is_own(root, folder):
                case = load(root, folder.relative_to(root))
                if root / case_folder(case.id, case.occurred_s) == folder:
                    yield case
                else:
                    log.error("a case is in the folder of another day and is not recorded", folder=str(folder))


def _newest(root: Path, days: int) -> Sequence[Path]:
    """Folders of the newest days, and folders that changed in that time: a camera with a wrong clock writes into other
    years, and must not hide the days of the others."""
    named = sorted(root.glob("[0-9]*/[0-9]*/[0-9]*"))
    newest, since_s = {*named[-days:]}, time.time() - days * DAY_S
    return [day for day in named if day in newest or day.stat().st_mtime >= since_s]


def _is_own(root: Path, folder: Path) -> bool:
    if problems := verify_case(folder):
        log.error("a case that is not in the ledger is damaged", folder=str(folder), problems=problems)
    elif not is_committed(root / CHAIN, read_seal(folder)):
        problems = ["this engine did not seal it"]
        log.critical("found a case that this engine did not seal", folder=str(folder))
    return not problems
