"""What a running engine tidies by itself: cases that a crash or an outage kept from the register, and what is no longer
to be kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from engine.config import EngineConfig
from engine.errors import QyranError
from engine.evidence import remove_folder, stored_cases
from engine.register import Due, Retention, SqlRegister

log = structlog.get_logger()

EVERY_S = 3600.0
RECOVER_DAYS = 7
"""Days of evidence that are looked through for cases that the register does not have."""
BATCH = 200
"""Cases that are removed in one transaction."""


class Housekeeper:
    """Tidies one register and its evidence. Every method raises RegisterError or EvidenceError."""

    def __init__(self, register: SqlRegister, evidence_root: Path, retention: Retention) -> None:
        self._register = register
        self._root = evidence_root
        self._retention = retention

    def recover(self) -> None:
        """Append the cases whose evidence is complete and that the register does not have."""
        known = self._register.ids(time.time() - RECOVER_DAYS * 86_400.0)
        lost = stored_cases(self._root, lambda case_id: self._is_known(case_id, known), days=RECOVER_DAYS)
        for entry in self._register.append(list(lost)):
            log.warning("case recovered", case=entry.case.id, sequence=entry.sequence)

    def _is_known(self, case_id: str, known: frozenset[str]) -> bool:
        return case_id in known or self._register.get(case_id) is not None

    def due(self) -> Iterator[Due]:
        """Everything that `remove` would take away now."""
        after = 0
        while page := self._retention.due(after, BATCH):
            yield from page
            after = page[-1].sequence

    def remove(self) -> int:
        """Take away what is no longer to be kept, and what an interrupted removal left; how many cases."""
        count = after = 0
        while page := self._retention.due(after, BATCH):
            after = page[-1].sequence
            gone = self._retention.remove([case for case in page if self._is_ours(case.folder)])
            self._sweep([case.folder for case in gone])
            count += len(gone)
        if count:
            log.info("cases removed", cases=count)
        self._sweep([folder for folder in self._retention.unfinished() if self._is_ours(folder)])
        return count

    def tidy(self) -> None:
        """All of it; what goes wrong is logged and tried again the next time."""
        for task in (self.recover, self.remove):
            try:
                task()
            except QyranError as error:
                log.error("housekeeping failed", task=task.__name__, error=str(error))

    def _is_ours(self, folder: str) -> bool:
        """Of a register that several nodes share, each removes the cases whose evidence it has."""
        return not self._register.database.is_shared or (self._root / folder).is_dir()

    def _sweep(self, folders: Sequence[str]) -> None:
        for folder in folders:
            remove_folder(self._root, folder)
            self._retention.finish(folder)


def open_housekeeper(config: EngineConfig, register: SqlRegister) -> Housekeeper:
    """The housekeeper that the configuration asks for."""
    recipients = [recipient.name for recipient in config.recipients]
    return Housekeeper(register, config.evidence_root, Retention(register.database, config.retention, recipients))


@contextmanager
def tidying(housekeeper: Housekeeper, every_s: float = EVERY_S) -> Iterator[None]:
    """Tidy now and then, on a thread of its own, until the end."""
    stopped = threading.Event()

    def work() -> None:
        while not stopped.wait(every_s):
            housekeeper.tidy()

    thread = threading.Thread(target=work, name="housekeeper", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
