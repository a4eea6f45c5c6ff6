"""Appends cases to the ledger, and keeps them while the disk or the ledger refuses them.

The disk may be full or read-only, the ledger out of reach. Cameras are still read, what is found waits in memory
(bounded, here and in the evidence builder), and all of it is tried again. An outage that lasts raises an alarm and
pauses measured kinds: a speed without a place for its proof is not stated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import structlog

from engine.errors import CaseConflict, LedgerError
from engine.metrics import Metrics
from engine.stages import EvidenceBuilder, Ledger
from engine.types import Case, Entry

log = structlog.get_logger()

UNRECORDED_MOST = 5_000
"""Cases that wait in memory for the ledger. Others wait on the disk, where `engine.app.housekeeping` finds them."""
REST_FACTOR = 9.0
"""After a failure the ledger is not tried for this many times the duration of the failure. So at most a tenth of the
pipeline's time is spent on an unreachable server, which fails slowly."""
LASTS_S = 30.0
"""A shorter outage pauses nothing: another process held the lock, a server was restarted."""


class StorageHealth:
    """Whether cases can be recorded. An outage begins with a refusal and ends with the first recorded case.

    One thread calls `note`, any thread may ask.
    """

    def __init__(self, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._metrics, self._clock = metrics, clock
        self._since_s: float | None = None
        self._was_failing = False

    def note(self, is_refused: bool, waiting: int) -> None:
        """Take in whether something is refused now, and how many cases wait."""
        self._metrics.unrecorded.set(waiting)
        if not is_refused:
            self._since_s = None
        elif self._since_s is None:
            self._since_s = self._clock()
        if self.is_failing != self._was_failing:
            self._report_change()

    @property
    def is_failing(self) -> bool:
        """True while an outage lasts that pauses measured kinds."""
        since_s = self._since_s
        return since_s is not None and self._clock() - since_s >= LASTS_S

    def _report_change(self) -> None:
        self._was_failing = not self._was_failing
        self._metrics.storage_refuses.set(self._was_failing)
        if self._was_failing:
            log.critical("nothing can be recorded: measured kinds pause, the others wait in memory")
        else:
            log.warning("recording again: measured kinds continue")


class Recorder:
    """Appends cases to the ledger, in order; keeps those that it refuses and tries them again with later ones."""

    def __init__(
        self, ledger: Ledger, evidence_builder: EvidenceBuilder, metrics: Metrics, clock: Callable[[], float]
    ) -> None:
        """`evidence_builder` states whether the disk refuses cases, and how many wait for it."""
        self._ledger, self._evidence_builder, self._metrics = ledger, evidence_builder, metrics
        self._clock = clock
        self._storage = StorageHealth(metrics, clock)
        self._unrecorded: list[Case] = []
        self._again_s = float("-inf")

    @property
    def can_record(self) -> bool:
        """False while storage has been failing for so long that measured kinds pause."""
        return not self._storage.is_failing

    def record(self, cases: Sequence[Case], *, retry_now: bool = False) -> Sequence[Entry]:
        """Append what waits and the cases; returns the new entries. `retry_now` does not let a failed ledger rest."""
        self._unrecorded += cases
        entries = self._append_all() if retry_now or self._clock() >= self._again_s else []
        del self._unrecorded[UNRECORDED_MOST:]
        evidence_builder, unrecorded = self._evidence_builder, len(self._unrecorded)
        self._storage.note(evidence_builder.is_refused or unrecorded > 0, evidence_builder.waiting + unrecorded)
        return entries

    def _append_all(self) -> Sequence[Entry]:
        began_s = self._clock()
        try:
            entries = self._ledger.append(self._unrecorded)
            self._unrecorded = []
        except CaseConflict:
            return list(self._append_one_by_one())
        except LedgerError as error:
            self._let_rest(error, self._clock() - began_s)
            return []
        return entries

    def _append_one_by_one(self) -> Iterator[Entry]:
        """Append what the ledger takes; drop the cases that it holds with another content."""
        while self._unrecorded:
            began_s = self._clock()
            try:
                yield from self._ledger.append(self._unrecorded[:1])
            except CaseConflict as error:
                self._metrics.conflicts.labels(self._unrecorded[0].camera).inc()
                log.critical("the ledger holds this case with another content", error=str(error))
            except LedgerError as error:
                self._let_rest(error, self._clock() - began_s)
                return
            del self._unrecorded[0]

    def _let_rest(self, error: LedgerError, took_s: float) -> None:
        log.error("ledger unavailable, cases wait", cases=len(self._unrecorded), error=str(error))
        self._again_s = self._clock() + REST_FACTOR * took_s
