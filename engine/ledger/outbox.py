"""What every recipient gets and has got: the durable state of delivery, beside the cases it speaks of.

A row is born when a case is *enrolled* for a recipient, waits as `pending`, and ends as `delivered` or `refused`. Every
change is one transaction: after kill -9 at any instant each case stands where its last answer left it, and a case whose
answer was not written down yet is sent once more under the same id.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from engine.ledger.database import Database
from engine.ledger.tables import cases, deliveries, recipients

PENDING, DELIVERED, REFUSED = "pending", "delivered", "refused"
PAGE = 1000
"""Cases that are enrolled in one transaction."""
DETAIL_LENGTH = 1023
"""Of a recipient's words, what is kept."""
FARTHEST_S = 7200.0
"""No wait is longer: one that is was written by a clock that jumped, and is over."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cases a recipient wants, and which of them first."""

    kinds: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    after_sequence: int = 0
    """Cases up to this one are not for it."""

    def rank(self, kind: str) -> int:
        """0 goes first."""
        return self.first.index(kind) if kind in self.first else len(self.first)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One case for one recipient."""

    sequence: int
    case_id: str
    kind: str
    recorded_s: float
    attempts: int
    """That failed so far."""
    changed_s: float
    detail: str


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """How a recipient stands."""

    pending: int
    delivered: int
    refused: int
    oldest_s: float | None
    """When the oldest pending case was recorded, Unix seconds UTC."""


class Outbox:
    """The deliveries of one recipient. Safe from any thread; every method raises LedgerError."""

    def __init__(self, database: Database, recipient: str, *, clock: Callable[[], float] = time.time) -> None:
        self.recipient = recipient
        self._database = database
        self._clock = clock
        self._own = deliveries.c.recipient == recipient

    def claim(self, owner: str, for_s: float, is_gone: Callable[[str], bool] = lambda _: False) -> bool:
        """Become or stay the one that delivers, for a time; False while another does, who is not known to be gone."""
        line, now_s = recipients.c.name == self.recipient, self._clock()
        mine = {"owner": owner, "until_s": now_s + for_s}
        with self._database.writing("claim a recipient") as connection:
            held = connection.execute(sa.select(recipients).where(line).with_for_update()).first()
            if held is None:
                connection.execute(sa.insert(recipients).values(name=self.recipient, enrolled=0, **mine))
            elif (
                held.owner not in ("", owner) and now_s < held.until_s < now_s + FARTHEST_S and not is_gone(held.owner)
            ):
                return False
            else:
                connection.execute(sa.update(recipients).where(line).values(mine))
        return True

    def give_up(self, owner: str) -> None:
        """Let another deliver at once."""
        line = (recipients.c.name == self.recipient) & (recipients.c.owner == owner)
        with self._database.writing("release a recipient") as connection:
            connection.execute(sa.update(recipients).where(line).values(owner="", until_s=0.0))

    def enrol(self, wish: Selection) -> int:
        """Take note of the next cases for the recipient, who must be claimed; the last sequence that was looked at."""
        line = recipients.c.name == self.recipient
        with self._database.writing("enrol cases") as connection:
            enrolled: int = connection.execute(sa.select(recipients.c.enrolled).where(line)).scalar_one()
            after = max(enrolled, wish.after_sequence)
            page = connection.execute(_facts(after)).all()
            if rows := [self._row(case, wish) for case in page if _is_wanted(case, wish)]:
                connection.execute(sa.insert(deliveries), rows)
            if page:
                after = page[-1].sequence
                connection.execute(sa.update(recipients).where(line).values(enrolled=after))
        return after

    def rank_again(self, wish: Selection) -> None:
        """Put what is pending into the order of a wish that has changed."""
        rank = sa.case({kind: n for n, kind in enumerate(wish.first)}, value=deliveries.c.kind, else_=len(wish.first))
        ranked = rank if wish.first else sa.literal(0)
        pending = self._own & (deliveries.c.state == PENDING) & (deliveries.c.rank != ranked)
        with self._database.writing("rank deliveries") as connection:
            connection.execute(sa.update(deliveries).where(pending).values(rank=ranked))

    def next(self, overdue_s: float) -> Delivery | None:
        """What goes now: the oldest pending case if it has waited for so long, else by rank, then by sequence."""
        now_s = self._clock()
        waits = (deliveries.c.next_s > now_s) & (deliveries.c.next_s < now_s + FARTHEST_S)
        due = sa.select(deliveries).where(self._own, deliveries.c.state == PENDING, ~waits).limit(1)
        with self._database.reading("read the outbox") as connection:
            oldest = connection.execute(due.order_by(deliveries.c.sequence)).first()
            if oldest is not None and now_s - oldest.recorded_s < overdue_s:
                oldest = connection.execute(due.order_by(deliveries.c.rank, deliveries.c.sequence)).first()
        return _delivery(oldest) if oldest is not None else None

    def deliver(self, sequence: int, receipt: str) -> None:
        """The recipient has taken the case."""
        self._settle(sequence, receipt, state=DELIVERED)

    def refuse(self, sequence: int, reason: str) -> None:
        """The recipient will never take the case."""
        self._settle(sequence, reason, state=REFUSED)

    def note(self, sequence: int, reason: str) -> None:
        """Why the case waits, through no fault of its own."""
        self._settle(sequence, reason)

    def postpone(self, sequence: int, reason: str, for_s: float) -> None:
        """The case failed this time; it goes again, not before `for_s` have passed."""
        self._settle(sequence, reason, next_s=self._clock() + for_s, attempts=deliveries.c.attempts + 1)

    def hurry(self) -> None:
        """End every wait: the recipient is back."""
        waiting = self._own & (deliveries.c.state == PENDING) & (deliveries.c.next_s > 0)
        with self._database.writing("hurry deliveries") as connection:
            connection.execute(sa.update(deliveries).where(waiting).values(next_s=0.0))

    def retry_refused(self) -> int:
        """Make what was refused pending once more; how many."""
        dead = self._own & (deliveries.c.state == REFUSED)
        again = {"state": PENDING, "next_s": 0.0, "changed_s": self._clock()}
        with self._database.writing("retry deliveries") as connection:
            return connection.execute(sa.update(deliveries).where(dead).values(again)).rowcount

    def refused(self, limit: int) -> Sequence[Delivery]:
        """The newest refusals."""
        dead = sa.select(deliveries).where(self._own, deliveries.c.state == REFUSED)
        with self._database.reading("read the outbox") as connection:
            newest = connection.execute(dead.order_by(deliveries.c.sequence.desc()).limit(limit))
            return [_delivery(row) for row in newest]

    def standing(self) -> DeliveryStatus:
        """How the recipient stands; counts every row it ever got: for the operator."""
        pending, delivered, refused = (self.count(state) for state in (PENDING, DELIVERED, REFUSED))
        return DeliveryStatus(pending, delivered, refused, self.oldest_s())

    def count(self, state: str) -> int:
        """How many cases are pending, delivered or refused."""
        counted = sa.select(sa.func.count()).where(self._own, deliveries.c.state == state)
        with self._database.reading("read the outbox") as connection:
            return connection.execute(counted).scalar_one()

    def oldest_s(self) -> float | None:
        """When the oldest pending case was recorded, Unix seconds UTC."""
        pending = sa.select(deliveries.c.recorded_s).where(self._own, deliveries.c.state == PENDING)
        with self._database.reading("read the outbox") as connection:
            return connection.execute(pending.order_by(deliveries.c.sequence).limit(1)).scalar()

    def _row(self, case: sa.Row[tuple[int, str, str, str, float]], wish: Selection) -> dict[str, object]:
        return {
            "recipient": self.recipient,
            "sequence": case.sequence,
            "case_id": case.case_id,
            "kind": case.kind,
            "recorded_s": case.recorded_s,
            "rank": wish.rank(case.kind),
            "state": PENDING,
            "attempts": 0,
            "next_s": 0.0,
            "changed_s": self._clock(),
            "detail": "",
        }

    def _settle(self, sequence: int, detail: str, **change: object) -> None:
        """What is settled stays settled, whatever a late answer says. PostgreSQL takes no NUL, strangers send one."""
        change |= {"changed_s": self._clock(), "detail": detail[:DETAIL_LENGTH].replace("\0", "\ufffd")}
        row = self._own & (deliveries.c.sequence == sequence) & (deliveries.c.state == PENDING)
        with self._database.writing("settle a delivery") as connection:
            connection.execute(sa.update(deliveries).where(row).values(change))


def _facts(after: int) -> sa.Select[tuple[int, str, str, str, float]]:
    columns = (cases.c.sequence, cases.c.case_id, cases.c.kind, cases.c.outcome, cases.c.recorded_s)
    newer = (cases.c.sequence > after) & cases.c.removed_s.is_(None)
    return sa.select(*columns).where(newer).order_by(cases.c.sequence).limit(PAGE)


def _is_wanted(case: sa.Row[tuple[int, str, str, str, float]], wish: Selection) -> bool:
    return (not wish.kinds or case.kind in wish.kinds) and (not wish.outcomes or case.outcome in wish.outcomes)


def _delivery(row: sa.Row[tuple[object, ...]]) -> Delivery:
    return Delivery(row.sequence, row.case_id, row.kind, row.recorded_s, row.attempts, row.changed_s, row.detail)
