"""The line to one recipient: one case at a time, in order, until the last one is taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import structlog

from engine.config import RecipientConfig
from engine.deliver import attachments
from engine.deliver.backoff import Breaker, RatePacer, backoff_s
from engine.deliver.channel import Channel, Receipt, Submission
from engine.deliver.owner import is_gone, own_name
from engine.errors import (
    LimitReached,
    QyranError,
    RecipientUnavailable,
    RecordConflict,
    SubmissionFailed,
    SubmissionImpossible,
    SubmissionRefused,
)
from engine.ledger import Decisions, Delivery, Outbox, Selection, SqlLedger
from engine.ledger.outbox import PENDING, REFUSED
from engine.metrics import Metrics
from engine.types import Entry
from engine.types.decision import Disposition

log = structlog.get_logger()

IDLE_S = 0.5
"""How soon a new case is noticed."""
LEASE_S = 15.0
"""How long a line belongs to a process that is gone from another machine, beyond the deadline of a submission."""
PATIENCE = 3
"""So many times a case is tried before the others are sent meanwhile."""
REPORT_ID_LENGTH, REASON_LENGTH, REFERENCE_LENGTH = 63, 1023, 255
"""What the table of dispositions takes."""
LATEST_S = 253_402_300_799
"""The last second of 9999: no protocol tells a later one."""
LONGEST_WAIT_S = 3600.0
"""Of one case that fails while others are taken."""


class DeliveryWorker:
    """Delivers to one recipient whenever `step` is called; one thread calls it.

    Order: by the wish's ranks, then by sequence, and what is overdue first. A recipient that cannot be reached changes
    nothing about it. A case that fails while the recipient lives is tried PATIENCE times; then it waits, and the others
    go. When the recipient is back after an outage, every wait ends.
    """

    def __init__(
        self,
        config: RecipientConfig,
        ledger: SqlLedger,
        channel: Channel,
        evidence_root: Path,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`clock` counts pauses, `wall` is what the outbox writes down."""
        self.name = config.name
        self._config = config
        self._ledger = ledger
        self._channel = channel
        self._evidence_root = evidence_root
        self._metrics = metrics
        self._clock = clock
        self._decisions = Decisions(ledger.database, clock=wall)
        self._outbox = Outbox(ledger.database, config.name, clock=wall)
        self._wish = Selection(config.kinds, config.outcomes, config.first, config.after_sequence)
        self._breaker = Breaker(config.longest_pause_s, clock)
        self._pace = RatePacer(config.per_hour, clock)
        self._enrolled = -1
        self._claim_again_s = float("-inf")

    def step(self) -> float:
        """Do the next thing; how many seconds may pass before the next step. Raises LedgerError or ConfigError."""
        if not self._is_ours():
            return IDLE_S
        self._enrol()
        if (wait_s := max(self._breaker.wait_s(), self._pace.wait_s())) > 0:
            return min(wait_s, IDLE_S)
        delivery = self._outbox.next(self._config.overdue_s)
        if delivery is None:
            return IDLE_S
        self._pace.count()
        self._settle(delivery)
        return 0.0

    def measure(self) -> None:
        """Tell the metrics how the line stands. Raises LedgerError."""
        self._metrics.deliveries_pending.labels(self.name).set(self._outbox.count(PENDING))
        self._metrics.deliveries_refused.labels(self.name).set(self._outbox.count(REFUSED))
        self._metrics.delivery_oldest_s.labels(self.name).set(self._outbox.oldest_s() or 0.0)
        self._metrics.delivery_breaker.labels(self.name).set(self._breaker.state)

    def close(self) -> None:
        """Let another process deliver at once. Raises LedgerError."""
        self._channel.close()
        self._outbox.give_up(own_name())

    def _is_ours(self) -> bool:
        if self._clock() < self._claim_again_s:
            return True
        if not self._outbox.claim(own_name(), LEASE_S + self._config.deadline_s, is_gone):
            return False
        if self._enrolled < 0:
            self._outbox.rank_again(self._wish)
        self._claim_again_s = self._clock() + LEASE_S / 3
        return True

    def _enrol(self) -> None:
        if self._enrolled < self._ledger.last_sequence():
            self._enrolled = self._outbox.enrol(self._wish)

    def _settle(self, delivery: Delivery) -> None:
        """Submit one case, and write down what came of it."""
        entry = self._ledger.get(delivery.case_id)
        if entry is None or entry.removed_s is not None:
            gone = SubmissionRefused(f"case {delivery.case_id} is no longer in the register")
            self._outbox.refuse(delivery.sequence, str(gone))
            self._note(delivery, "refused", gone)
            return
        try:
            answer = self._submit(entry)
        except SubmissionRefused as error:
            self._outbox.refuse(delivery.sequence, str(error))
            self._note(delivery, "refused", error)
            self._answered()
        except RecipientUnavailable as error:
            self._breaker.fail(error.retry_after_s)
            self._outbox.note(delivery.sequence, str(error))
            self._note(delivery, "unavailable", error)
        except SubmissionFailed as error:
            self._breaker.fail()
            self._outbox.postpone(delivery.sequence, str(error), _wait_s(delivery.attempts + 1))
            self._note(delivery, "failed", error)
        except SubmissionImpossible as error:
            self._outbox.postpone(delivery.sequence, str(error), backoff_s(delivery.attempts + 1, LONGEST_WAIT_S))
            self._note(delivery, "failed", error)
        else:
            self._record(answer)
            self._outbox.deliver(delivery.sequence, answer.reference)
            self._note(delivery, "delivered")
            self._answered()

    def _submit(self, entry: Entry) -> Receipt:
        """The recipient's yes. Raises DeliveryError."""
        contents = attachments.contents(entry.case, self._evidence_root, self._config.inline_bytes)
        try:
            return self._channel.submit(Submission(entry, contents, self._config.evidence_target))
        except QyranError:
            raise
        except Exception as error:
            log.exception("submission broke", recipient=self.name, case=entry.case.id)
            raise SubmissionFailed(f"{type(error).__name__}: {error}") from error

    def _record(self, receipt: Receipt) -> None:
        """Write down what the recipient decided at once; before the delivery, so that a crash loses neither."""
        if decided := receipt.disposition:
            try:
                self._decisions.report(_fitting(decided, self.name))
            except (RecordConflict, LimitReached, ValueError) as error:
                log.error("disposition left out", recipient=self.name, case=decided.case_id, error=str(error))

    def _answered(self) -> None:
        """The recipient lives: after an outage, what waited goes in its order."""
        if self._breaker.succeed():
            log.info("recipient is back", recipient=self.name)
            self._outbox.hurry()

    def _note(self, delivery: Delivery, result: str, error: Exception | None = None) -> None:
        self._metrics.deliveries.labels(self.name, result).inc()
        self._metrics.delivery_breaker.labels(self.name).set(self._breaker.state)
        tell = log.error if result == "refused" else log.warning if error else log.info
        tell(f"case {result}", recipient=self.name, case=delivery.case_id, **({"error": str(error)} if error else {}))


def _fitting(decided: Disposition, recipient: str) -> Disposition:
    """As the table takes it. Raises ValueError for a report without a usable number or without its time."""
    if not 0 < len(decided.report_id) <= REPORT_ID_LENGTH or not decided.report_id.isprintable():
        raise ValueError(f"report_id must be 1 to {REPORT_ID_LENGTH} printable characters: {decided.report_id!r:.99}")
    if not 0 < decided.decided_s <= LATEST_S:
        raise ValueError("decided_at is required, in a year up to 9999")
    return replace(
        decided,
        reason=decided.reason[:REASON_LENGTH].replace("\0", "\ufffd"),
        reference=decided.reference[:REFERENCE_LENGTH].replace("\0", "\ufffd"),
        reporter=recipient,
    )


def _wait_s(attempts: int) -> float:
    """How long a case waits by itself after so many attempts."""
    return backoff_s(attempts, LONGEST_WAIT_S) if attempts % PATIENCE == 0 else 0.0
