"""Cases that are whole on the disk and that the register does not know: a crash or an outage came between the two."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import structlog

from engine.evidence.chain import CHAIN, is_remembered
from engine.evidence.folder import ASIDE, load, place
from engine.evidence.manifest import read_seal, verify_case
from engine.types import Case

log = structlog.get_logger()

DAY_S = 86_400.0


def stored_cases(root: Path, is_known: Callable[[str], bool], *, days: int = 2) -> Iterator[Case]:
    """The whole cases of the newest `days` days whose id is not known: what a crash kept from the register.

    A damaged folder is left out, and so is one that the engine did not seal, or that lies where it did not put it.
    """
    for day in _newest(root, days):
        for folder in sorted(path for path in day.iterdir() if path.is_dir() and ASIDE not in path.name):
            if not is_known(folder.name) and _is_own(root, folder):
                case = load(root, folder.relative_to(root))
                if root / place(case.id, case.occurred_s) == folder:
                    yield case
                else:
                    log.error("a case lies in the folder of another day: not recorded", folder=str(folder))


def _newest(root: Path, days: int) -> Sequence[Path]:
    """The folders of the newest days, and of those that something was put into lately: a camera whose clock is wrong
    writes into other years, and must not hide the days of the others."""
    named = sorted(root.glob("[0-9]*/[0-9]*/[0-9]*"))
    newest, since_s = {*named[-days:]}, time.time() - days * DAY_S
    return [day for day in named if day in newest or day.stat().st_mtime >= since_s]


def _is_own(root: Path, folder: Path) -> bool:
    if problems := verify_case(folder):
        log.error("a case that the register does not know is damaged", folder=str(folder), problems=problems)
    elif not is_remembered(root / CHAIN, read_seal(folder)):
        problems = ["this engine did not seal it"]
        log.critical("a case was slipped in", folder=str(folder))
    return not problems
