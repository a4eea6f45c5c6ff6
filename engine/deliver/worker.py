"""The worker of one recipient: one case at a time, in order, until the recipient has all."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import structlog

from engine.config import RecipientConfig
from engine.deliver.backoff import Breaker, RatePacer, backoff_s
from engine.deliver.channel import Channel, Receipt, Submission
from engine.errors import (
    LimitReached,
    QyranError,
    RecipientUnavailable,
    RecordConflict,
    SubmissionFailed,
    SubmissionImpossible,
    SubmissionRefused,
)
from engine.ledger import Decisions, Delivery, DeliveryState, Outbox, Selection, SqlLedger
from engine.metrics import Metrics
from engine.types import Case, Entry, EvidenceFile
from engine.types.decision import Disposition

log = structlog.get_logger()

IDLE_S = 0.5
"""Interval of looking for new cases."""
LEASE_S = 15.0
"""Time after which another machine takes over a recipient from a process that is gone, plus the deadline."""
PATIENCE = 3
"""Attempts at a case before the others are sent meanwhile."""
REPORT_ID_LENGTH, REASON_LENGTH, REFERENCE_LENGTH = 63, 1023, 255
"""Limits of the table of dispositions."""
LATEST_S = 253_402_300_799
"""The last second of the year 9999: no protocol expresses a later one."""
LONGEST_WAIT_S = 3600.0
"""Longest wait of a case that fails while others are taken."""


class DeliveryWorker:
    """Delivers to one recipient whenever `step` is called; one thread calls it.

    Order: by rank of the kind, then by sequence; overdue cases go first. A recipient that cannot be reached does not
    change the order. A case that fails while the recipient answers is tried PATIENCE times; then it waits and the
    others go. When the recipient is back after an outage, every wait ends.
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
        """`clock` measures pauses; the outbox stores times of `wall`."""
        self.name = config.name
        self._config = config
        self._ledger = ledger
        self._channel = channel
        self._evidence_root = evidence_root
        self._metrics = metrics
        self._clock = clock
        self._decisions = Decisions(ledger.database, clock=wall)
        self._outbox = Outbox(ledger.database, config.name, clock=wall)
        self._selection = Selection(
            kinds=config.kinds, outcomes=config.outcomes, first=config.first, after_sequence=config.after_sequence
        )
        self._breaker = Breaker(config.longest_pause_s, clock)
        self._pacer = RatePacer(config.per_hour, clock)
        self._enrolled = -1
        self._claim_again_s = float("-inf")

    def step(self) -> float:
        """Submit at most one case. Returns the seconds until the next step. Raises LedgerError or ConfigError."""
        if not self._has_claim():
            return IDLE_S
        if self._enrolled < self._ledger.last_sequence():
            self._enrolled = self._outbox.enrol(self._selection)
        if (wait_s := max(self._breaker.wait_s(), self._pacer.wait_s())) > 0:
            return min(wait_s, IDLE_S)
        delivery = self._outbox.next(self._config.overdue_s)
        if delivery is None:
            return IDLE_S
        self._pacer.count()
        self._deliver(delivery)
        return 0.0

    def measure(self) -> None:
        """Set the metrics of the outbox. Raises LedgerError."""
        self._metrics.deliveries_pending.labels(self.name).set(self._outbox.count(DeliveryState.PENDING))
        self._metrics.deliveries_refused.labels(self.name).set(self._outbox.count(DeliveryState.REFUSED))
        self._metrics.delivery_oldest_s.labels(self.name).set(self._outbox.oldest_s() or 0.0)
        self._metrics.delivery_breaker.labels(self.name).set(self._breaker.state)

    def close(self) -> None:
        """Close the channel and let another process deliver at once. Raises LedgerError."""
        self._channel.close()
        self._outbox.release(own_name())

    def _has_claim(self) -> bool:
        """True if this process is the one that delivers to the recipient; renews the claim in time."""
        if self._clock() < self._claim_again_s:
            return True
        if not self._outbox.claim(own_name(), LEASE_S + self._config.deadline_s, is_gone):
            return False
        if self._enrolled < 0:
            self._outbox.rank_again(self._selection)
        self._claim_again_s = self._clock() + LEASE_S / 3
        return True

    def _deliver(self, delivery: Delivery) -> None:
        """Submit one case and record the result."""
        entry = self._ledger.get(delivery.case_id)
        if entry is None or entry.removed_s is not None:
            removed = SubmissionRefused(f"case {delivery.case_id} is no longer in the ledger")
            self._outbox.refuse(delivery.sequence, str(removed))
            self._report(delivery, "refused", removed)
            return
        try:
            receipt = self._submit(entry)
        except SubmissionRefused as error:
            self._outbox.refuse(delivery.sequence, str(error))
            self._report(delivery, "refused", error)
            self._reset_breaker()
        except RecipientUnavailable as error:
            self._breaker.fail(error.retry_after_s)
            self._outbox.note(delivery.sequence, str(error))
            self._report(delivery, "unavailable", error)
        except SubmissionFailed as error:
            self._breaker.fail()
            attempts = delivery.attempts + 1
            wait_s = backoff_s(attempts, LONGEST_WAIT_S) if attempts % PATIENCE == 0 else 0.0
            self._outbox.postpone(delivery.sequence, str(error), wait_s)
            self._report(delivery, "failed", error)
        except SubmissionImpossible as error:
            self._outbox.postpone(delivery.sequence, str(error), backoff_s(delivery.attempts + 1, LONGEST_WAIT_S))
            self._report(delivery, "failed", error)
        else:
            self._record_disposition(receipt)
            self._outbox.deliver(delivery.sequence, receipt.reference)
            self._report(delivery, "delivered")
            self._reset_breaker()

    def _submit(self, entry: Entry) -> Receipt:
        """Raises DeliveryError where the recipient does not take the case."""
        contents = read_contents(entry.case, self._evidence_root, self._config.inline_bytes)
        try:
            return self._channel.submit(Submission(entry, contents, self._config.evidence_target))
        except QyranError:
            raise
        except Exception as error:
            log.exception("submission broke", recipient=self.name, case=entry.case.id)
            raise SubmissionFailed(f"{type(error).__name__}: {error}") from error

    def _record_disposition(self, receipt: Receipt) -> None:
        """Record a decision that came with the receipt. Comes before the delivery, so that a crash loses neither."""
        if disposition := receipt.disposition:
            try:
                self._decisions.report(_clip(disposition, self.name))
            except (RecordConflict, LimitReached, ValueError) as error:
                log.error("disposition left out", recipient=self.name, case=disposition.case_id, error=str(error))

    def _reset_breaker(self) -> None:
        """The recipient has answered. After an outage the waiting cases go in their order."""
        if self._breaker.succeed():
            log.info("recipient is back", recipient=self.name)
            self._outbox.end_waits()

    def _report(self, delivery: Delivery, result: str, error: Exception | None = None) -> None:
        """Count and log a result."""
        self._metrics.deliveries.labels(self.name, result).inc()
        self._metrics.delivery_breaker.labels(self.name).set(self._breaker.state)
        write = log.error if result == "refused" else log.warning if error else log.info
        write(f"case {result}", recipient=self.name, case=delivery.case_id, **({"error": str(error)} if error else {}))


def own_name() -> str:
    """`host:process`: the name under which this process claims a recipient."""
    return f"{socket.gethostname()}:{os.getpid()}"


def is_gone(owner: str) -> bool:
    """True if `owner` is a process of this host that no longer runs. Processes of other hosts count as running."""
    host, _, process = owner.rpartition(":")
    if host != socket.gethostname() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False


def read_contents(case: Case, root: Path, limit_bytes: int) -> Mapping[str, bytes]:
    """The files that fit into `limit_bytes` together, by name, small ones first: stills before the clip.

    Raises SubmissionImpossible for a file that is missing or does not match its hash: nothing wrong is ever sent.
    """
    return {file.name: _read_file(root / case.folder, case, file) for file in _choose(case.files, limit_bytes)}


def _choose(files: Sequence[EvidenceFile], limit_bytes: int) -> Sequence[EvidenceFile]:
    ordered = sorted(files, key=lambda file: file.size_bytes)
    sums = accumulate(file.size_bytes for file in ordered)
    return [file for file, size_bytes in zip(ordered, sums, strict=True) if size_bytes <= limit_bytes]


def _read_file(folder: Path, case: Case, file: EvidenceFile) -> bytes:
    try:
        content = (folder / file.name).read_bytes()
    except OSError as error:
        raise SubmissionImpossible(f"case {case.id}: {file.name}: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise SubmissionImpossible(f"case {case.id}: {file.name} does not match its hash")
    return content


def _clip(disposition: Disposition, recipient: str) -> Disposition:
    """As the table takes it. Raises ValueError for a report without a usable number or without its time."""
    if not 0 < len(disposition.report_id) <= REPORT_ID_LENGTH or not disposition.report_id.isprintable():
        shown = f"{disposition.report_id!r:.99}"
        raise ValueError(f"report_id must be 1 to {REPORT_ID_LENGTH} printable characters: {shown}")
    if not 0 < disposition.decided_s <= LATEST_S:
        raise ValueError("decided_at is required, in a year up to 9999")
    return replace(
        disposition,
        reason=disposition.reason[:REASON_LENGTH].replace("\0", "\ufffd"),
        reference=disposition.reference[:REFERENCE_LENGTH].replace("\0", "\ufffd"),
        reporter=recipient,
    )
