"""Housekeeping: appends cases that a crash or an outage kept out of the ledger, and removes cases that are over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from engine.config import EngineConfig
from engine.errors import EvidenceError, QyranError
from engine.evidence import remove_folder, stored_cases
from engine.ledger import Due, Filter, Retention, SqlLedger
from engine.metrics import Metrics

log = structlog.get_logger()

EVERY_S = 3600.0
RECOVER_DAYS = 7
"""Days of evidence that are searched for cases that the ledger does not have."""
BATCH = 200
"""Cases that are removed in one transaction."""
MOST_AHEAD_S = 7 * 86_400.0
"""If more time has passed since the last tidying, the operator has to confirm the clock."""
LAST = ".tidied"
"""File in the evidence folder: when cases were last removed by their time, Unix seconds UTC."""


class Housekeeper:
    """Tidies one ledger and its evidence. Every method raises LedgerError or EvidenceError."""

    def __init__(
        self,
        ledger: SqlLedger,
        evidence_root: Path,
        retention: Retention,
        metrics: Metrics | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._root = evidence_root
        self._retention = retention
        self._metrics = metrics or Metrics()
        self._clock = clock

    def recover(self) -> None:
        """Append the cases whose evidence is complete and that the ledger does not have."""
        known = self._ledger.ids(time.time() - RECOVER_DAYS * 86_400.0)
        lost = stored_cases(self._root, lambda case_id: self._is_known(case_id, known), days=RECOVER_DAYS)
        for entry in self._ledger.append(list(lost)):
            log.warning("case recovered", case=entry.case.id, sequence=entry.sequence)

    def _is_known(self, case_id: str, known: frozenset[str]) -> bool:
        return case_id in known or self._ledger.get(case_id) is not None

    def due(self) -> Iterator[Due]:
        """The cases that `remove` would remove now."""
        after = 0
        while page := self._retention.due(after, BATCH):
            yield from page
            after = page[-1].sequence

    def remove(self) -> int:
        """Remove the cases whose time is over, and what an interrupted removal left; returns the number of cases."""
        count = after = 0
        while page := self._retention.due(after, BATCH):
            after = page[-1].sequence
            gone = self._retention.remove([case for case in page if self._is_ours(case.folder)])
            self._remove_folders([case.folder for case in gone])
            count += len(gone)
        if count:
            log.info("cases removed", cases=count)
        self._remove_folders([folder for folder in self._retention.unfinished() if self._is_ours(folder)])
        self._note_time()
        return count

    def remove_unless_in_doubt(self) -> None:
        """`remove`, unless the clock may have jumped ahead: a removal cannot be undone."""
        ahead_s = self._clock() - self._last_s()
        doubtful = ahead_s > MOST_AHEAD_S and next(self.due(), None) is not None
        self._metrics.retention_paused.set(doubtful)
        if doubtful:
            log.critical("the clock jumped ahead: an operator must remove cases", days=int(ahead_s / 86_400))
        else:
            self.remove()

    def tidy(self) -> None:
        """Recover and remove; an error is logged, and the next call tries again."""
        for task in (self.recover, self.remove_unless_in_doubt):
            try:
                task()
            except QyranError as error:
                log.error("housekeeping failed", task=task.__name__, error=str(error))

    def _last_s(self) -> float:
        """When cases were last removed; before the first time, when the newest case was recorded."""
        try:
            return float((self._root / LAST).read_text(encoding="ascii"))
        except (OSError, ValueError):
            newest = self._ledger.read(self._ledger.last_sequence() - 1, 1, Filter(removed=True))
            return newest[0].recorded_s if newest else self._clock()

    def _note_time(self) -> None:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            part = self._root / f"{LAST}.part"
            part.write_text(f"{self._clock():.0f}", encoding="ascii")
            part.replace(self._root / LAST)
        except OSError as error:
            raise EvidenceError(f"{self._root / LAST}: {error.strerror or error}") from error

    def _is_ours(self, folder: str) -> bool:
        """If several nodes share a ledger, each removes the cases whose evidence it has."""
        return not self._ledger.database.is_shared or (self._root / folder).is_dir()

    def _remove_folders(self, folders: Sequence[str]) -> None:
        for folder in folders:
            remove_folder(self._root, folder)
            self._retention.finish(folder)


def open_housekeeper(config: EngineConfig, ledger: SqlLedger, metrics: Metrics | None = None) -> Housekeeper:
    """The housekeeper that the configuration asks for."""
    recipients = [recipient.name for recipient in config.recipients]
    retention = Retention(ledger.database, config.retention, recipients)
    return Housekeeper(ledger, config.evidence_root, retention, metrics)


@contextmanager
def keep_house(housekeeper: Housekeeper, every_s: float = EVERY_S) -> Iterator[None]:
    """Tidy every `every_s` seconds, on a separate thread, until the context ends."""
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
