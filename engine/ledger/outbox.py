"""The durable state of delivery, beside the cases.

A row begins when a case is *enrolled* for a recipient, waits as `pending`, and ends as `delivered` or `refused`. Every
change is one transaction: after kill -9 at any instant each case has the state of its last recorded answer, and a case
without a recorded answer goes once more under the same id.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from engine.ledger.database import Database, record
from engine.ledger.tables import cases, deliveries, recipients

PAGE = 1000
"""Cases that one transaction enrols."""
DETAIL_LENGTH = 1023
"""Length of a recipient's message that is kept."""
LONGEST_S = 7200.0
"""Longest wait. A longer one was written by a clock that jumped, and counts as over."""


class DeliveryState(StrEnum):
    """State of a case for a recipient."""

    PENDING = "pending"
    DELIVERED = "delivered"
    REFUSED = "refused"
    """The recipient never takes it; only `retry_refused` makes it pending again."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cases a recipient wants, and which of them go first. Empty: no restriction."""

    kinds: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    """Kinds that go before the others, in this order."""
    after_sequence: int = 0
    """Cases up to this sequence are left out."""

    def rank(self, kind: str) -> int:
        """Place of a kind in the order; 0 goes first."""
        return self.first.index(kind) if kind in self.first else len(self.first)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One case for one recipient."""

    sequence: int
    case_id: str
    kind: str
    recorded_s: float
    attempts: int
    """Failed attempts so far."""
    changed_s: float
    detail: str
    """Receipt, reason of the refusal, or the last error."""


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """The cases of a recipient, counted by state."""

    pending: int
    delivered: int
    refused: int
    oldest_s: float | None
    """When the oldest pending case was recorded, Unix seconds UTC; None without a pending case."""


class Outbox:
    """The deliveries of one recipient. Safe from any thread; every method raises LedgerError."""

    def __init__(self, database: Database, recipient: str, *, clock: Callable[[], float] = time.time) -> None:
        self.recipient = recipient
        self._database = database
        self._clock = clock
        self._own = deliveries.c.recipient == recipient

    def claim(self, owner: str, for_s: float, is_gone: Callable[[str], bool] = lambda _: False) -> bool:
        """Become or stay the only owner that delivers to the recipient, for `for_s`. Returns True on success.

        Returns False while another owner's claim holds, unless `is_gone` says that the owner has ended.
        """
        named, now_s = recipients.c.name == self.recipient, self._clock()
        claim = {"owner": owner, "until_s": now_s + for_s}
        with self._database.writing("claim a recipient") as connection:
            held = connection.execute(sa.select(recipients).where(named).with_for_update()).first()
            if held is None:
                connection.execute(sa.insert(recipients).values(name=self.recipient, enrolled=0, **claim))
            elif held.owner not in ("", owner) and now_s < held.until_s < now_s + LONGEST_S and not is_gone(held.owner):
                return False
            else:
                connection.execute(sa.update(recipients).where(named).values(claim))
        return True

    def release(self, owner: str) -> None:
        """End the claim of `owner`, so that another may deliver at once."""
        named = (recipients.c.name == self.recipient) & (recipients.c.owner == owner)
        with self._database.writing("release a recipient") as connection:
            connection.execute(sa.update(recipients).where(named).values(owner="", until_s=0.0))

    def enrol(self, selection: Selection) -> int:
        """Add the next PAGE cases of the ledger to the outbox. Returns the last sequence that was looked at.

        Only the owner of the claim may call.
        """
        named = recipients.c.name == self.recipient
        with self._database.writing("enrol cases") as connection:
            enrolled: int = connection.execute(sa.select(recipients.c.enrolled).where(named)).scalar_one()
            after = max(enrolled, selection.after_sequence)
            page = connection.execute(_select_cases(after)).all()
            if rows := [self._row(case, selection) for case in page if _is_wanted(case, selection)]:
                connection.execute(sa.insert(deliveries), rows)
            if page:
                after = page[-1].sequence
                connection.execute(sa.update(recipients).where(named).values(enrolled=after))
        return after

    def rank_again(self, selection: Selection) -> None:
        """Put the pending cases into the order of a selection that has changed."""
        ranks = {kind: selection.rank(kind) for kind in selection.first}
        rank = sa.case(ranks, value=deliveries.c.kind, else_=len(ranks)) if ranks else sa.literal(0)
        pending = self._own & (deliveries.c.state == DeliveryState.PENDING) & (deliveries.c.rank != rank)
        with self._database.writing("rank deliveries") as connection:
            connection.execute(sa.update(deliveries).where(pending).values(rank=rank))

    def next(self, overdue_s: float) -> Delivery | None:
        """The delivery to try now: the oldest pending case if it is overdue, else the first by rank and sequence.

        Returns None if every case waits.
        """
        now_s = self._clock()
        waits = (deliveries.c.next_s > now_s) & (deliveries.c.next_s < now_s + LONGEST_S)
        due = sa.select(deliveries).where(self._own, deliveries.c.state == DeliveryState.PENDING, ~waits).limit(1)
        with self._database.reading("read the outbox") as connection:
            oldest = connection.execute(due.order_by(deliveries.c.sequence)).first()
            if oldest is not None and now_s - oldest.recorded_s < overdue_s:
                oldest = connection.execute(due.order_by(deliveries.c.rank, deliveries.c.sequence)).first()
        return record(Delivery, oldest) if oldest is not None else None

    def deliver(self, sequence: int, receipt: str) -> None:
        """Record that the recipient has taken the case."""
        self._update(sequence, receipt, state=DeliveryState.DELIVERED)

    def refuse(self, sequence: int, reason: str) -> None:
        """Record that the recipient will never take the case."""
        self._update(sequence, reason, state=DeliveryState.REFUSED)

    def note(self, sequence: int, reason: str) -> None:
        """Record why the case waits without having failed itself."""
        self._update(sequence, reason)

    def postpone(self, sequence: int, reason: str, for_s: float) -> None:
        """Record a failed attempt; the case goes again after `for_s` at the earliest."""
        self._update(sequence, reason, next_s=self._clock() + for_s, attempts=deliveries.c.attempts + 1)

    def end_waits(self) -> None:
        """End the wait of every pending case: the recipient is back."""
        waiting = self._own & (deliveries.c.state == DeliveryState.PENDING) & (deliveries.c.next_s > 0)
        with self._database.writing("end the waits") as connection:
            connection.execute(sa.update(deliveries).where(waiting).values(next_s=0.0))

    def retry_refused(self) -> int:
        """Make the refused cases pending once more. Returns their number."""
        refused = self._own & (deliveries.c.state == DeliveryState.REFUSED)
        again = {"state": DeliveryState.PENDING, "next_s": 0.0, "changed_s": self._clock()}
        with self._database.writing("retry deliveries") as connection:
            return connection.execute(sa.update(deliveries).where(refused).values(again)).rowcount

    def refused(self, limit: int) -> Sequence[Delivery]:
        """The newest refusals, at most `limit`."""
        refused = sa.select(deliveries).where(self._own, deliveries.c.state == DeliveryState.REFUSED)
        with self._database.reading("read the outbox") as connection:
            newest = connection.execute(refused.order_by(deliveries.c.sequence.desc()).limit(limit))
            return [record(Delivery, row) for row in newest]

    def status(self) -> DeliveryStatus:
        """The recipient's cases, counted by state. Slow, it reads every row of the recipient: for the operator."""
        return DeliveryStatus(**{state.value: self.count(state) for state in DeliveryState}, oldest_s=self.oldest_s())

    def count(self, state: DeliveryState) -> int:
        """The number of cases in a state."""
        counted = sa.select(sa.func.count()).where(self._own, deliveries.c.state == state)
        with self._database.reading("read the outbox") as connection:
            return connection.execute(counted).scalar_one()

    def oldest_s(self) -> float | None:
        """When the oldest pending case was recorded, Unix seconds UTC; None without a pending case."""
        pending = sa.select(deliveries.c.recorded_s).where(self._own, deliveries.c.state == DeliveryState.PENDING)
        with self._database.reading("read the outbox") as connection:
            return connection.execute(pending.order_by(deliveries.c.sequence).limit(1)).scalar()

    def _row(self, case: sa.Row[tuple[int, str, str, str, float]], selection: Selection) -> dict[str, object]:
        return {
            "recipient": self.recipient,
            "sequence": case.sequence,
            "case_id": case.case_id,
            "kind": case.kind,
            "recorded_s": case.recorded_s,
            "rank": selection.rank(case.kind),
            "state": DeliveryState.PENDING,
            "attempts": 0,
            "next_s": 0.0,
            "changed_s": self._clock(),
            "detail": "",
        }

    def _update(self, sequence: int, detail: str, **change: object) -> None:
        """Change a pending row; a late answer changes no other. PostgreSQL refuses NUL, which a recipient may send."""
        change |= {"changed_s": self._clock(), "detail": detail[:DETAIL_LENGTH].replace("\0", "\ufffd")}
        row = self._own & (deliveries.c.sequence == sequence) & (deliveries.c.state == DeliveryState.PENDING)
        with self._database.writing("record a delivery") as connection:
            connection.execute(sa.update(deliveries).where(row).values(change))


def _select_cases(after: int) -> sa.Select[tuple[int, str, str, str, float]]:
    columns = (cases.c.sequence, cases.c.case_id, cases.c.kind, cases.c.outcome, cases.c.recorded_s)
    newer = (cases.c.sequence > after) & cases.c.removed_s.is_(None)
    return sa.select(*columns).where(newer).order_by(cases.c.sequence).limit(PAGE)


def _is_wanted(case: sa.Row[tuple[int, str, str, str, float]], selection: Selection) -> bool:
    return (not selection.kinds or case.kind in selection.kinds) and (
        not selection.outcomes or case.outcome in selection.outcomes
    )
