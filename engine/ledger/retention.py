"""How long cases are kept: which cases are due, which are held, and what remains of a removed case.

A row is never deleted. A removed case leaves its number, id, kind, camera, times and the hashes of its files, so that
sequences have no holes and the chain of seals can still be followed; its document is emptied. First the row is marked,
then the evidence is deleted, then the folder of the row is emptied: after a crash the row says what is left to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from engine.config import KeepRule, RetentionConfig
from engine.errors import RecordConflict
from engine.ledger.cases import lock
from engine.ledger.database import Database, record
from engine.ledger.decisions import dispositions
from engine.ledger.outbox import DeliveryState
from engine.ledger.tables import cases, deliveries, holds

DAY_S = 86_400.0
UNDECIDED = "none"
"""The disposition, in a rule, of a case that no register has decided on."""


@dataclass(frozen=True, slots=True)
class Due:
    """A case to remove."""

    sequence: int
    case_id: str
    kind: str
    folder: str
    why: str
    """The rule that applies, as text."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A case that is kept, although the policy would remove it."""

    case_id: str
    why: str
    placed_s: float
    placed_by: str


class Retention:
    """Applies the policy to the ledger. Safe from any thread; every method raises LedgerError."""

    def __init__(
        self,
        database: Database,
        policy: RetentionConfig,
        recipients: Sequence[str] = (),
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """A case that is pending for one of `recipients` is kept."""
        self._database = database
        self._policy = policy
        self._recipients = recipients
        self._clock = clock

    def due(self, after_sequence: int, limit: int) -> Sequence[Due]:
        """At most `limit` cases to remove, ascending: kept for long enough, not held, not pending for a recipient."""
        rules = (*self._policy.rules, KeepRule(days=self._policy.days)) if self._policy.days else self._policy.rules
        if not rules:
            return ()
        with self._database.reading() as connection:
            rows = connection.execute(self._query(rules, after_sequence).limit(limit))
            return [record(Due, row, why=describe(rules[row.rule])) for row in rows]

    def remove(self, due: Sequence[Due]) -> Sequence[Due]:
        """Mark cases as removed, except those that are held by now. Returns the marked; their evidence still exists."""
        with self._database.writing("remove cases") as connection:
            lock(connection)
            return [case for case in due if self._mark(connection, case)]

    def unfinished(self) -> Sequence[str]:
        """The folders of removed cases that may still exist."""
        marked = sa.select(cases.c.folder).where(cases.c.removed_s.is_not(None), cases.c.folder != "")
        with self._database.reading() as connection:
            return connection.execute(marked).scalars().all()

    def finish(self, folder: str) -> None:
        """Record that the evidence of a removed case is deleted."""
        marked = (cases.c.folder == folder) & cases.c.removed_s.is_not(None)
        with self._database.writing("remove cases") as connection:
            connection.execute(sa.update(cases).where(marked).values(folder=""))

    def hold(self, case_id: str, why: str, by: str) -> None:
        """Keep a case until it is released. Raises RecordConflict if the case does not exist or was removed."""
        with self._database.writing("hold a case") as connection:
            lock(connection)
            known = sa.select(cases.c.sequence).where(cases.c.case_id == case_id, cases.c.removed_s.is_(None))
            if connection.execute(known).first() is None:
                raise RecordConflict(f"there is no case {case_id!r}, or it was removed")
            placed = {"case_id": case_id, "why": why, "placed_s": self._clock(), "placed_by": by}
            connection.execute(sa.insert(holds).values(placed))

    def release(self, case_id: str, by: str) -> int:
        """End every hold of a case, which stays as a record. Returns the number of holds."""
        current = (holds.c.case_id == case_id) & holds.c.released_s.is_(None)
        ended = {"released_s": self._clock(), "released_by": by}
        with self._database.writing("release a case") as connection:
            return connection.execute(sa.update(holds).where(current).values(ended)).rowcount

    def holds(self) -> Sequence[Hold]:
        """The current holds, the oldest first."""
        current = sa.select(holds).where(holds.c.released_s.is_(None)).order_by(holds.c.hold_id)
        with self._database.reading() as connection:
            return [record(Hold, row) for row in connection.execute(current)]

    def _query(self, rules: Sequence[KeepRule], after_sequence: int) -> sa.Select[tuple[int, str, str, str, int]]:
        """The first rule that fits a case applies."""
        rule = sa.case(*((_fits(one), number) for number, one in enumerate(rules)))
        until_s = sa.case(*((_fits(one), self._clock() - one.days * DAY_S) for one in rules))
        return (
            sa.select(cases.c.sequence, cases.c.case_id, cases.c.kind, cases.c.folder, rule.label("rule"))
            .where(cases.c.sequence > after_sequence, cases.c.recorded_s < until_s, *self._free())
            .order_by(cases.c.sequence)
        )

    def _free(self) -> Iterator[sa.ColumnElement[bool]]:
        """Not removed, not held, not pending for a recipient."""
        yield cases.c.removed_s.is_(None)
        yield ~sa.exists().where(holds.c.case_id == cases.c.case_id, holds.c.released_s.is_(None))
        waits = (deliveries.c.sequence == cases.c.sequence) & (deliveries.c.state == DeliveryState.PENDING)
        yield ~sa.exists().where(waits, deliveries.c.recipient.in_(self._recipients))

    def _mark(self, connection: sa.Connection, case: Due) -> bool:
        free = (cases.c.sequence == case.sequence) & sa.and_(*self._free())
        marks = {"document": b"", "summary": b"", "removed_s": self._clock(), "removed_why": case.why}
        return connection.execute(sa.update(cases).where(free).values(marks)).rowcount == 1


def describe(rule: KeepRule) -> str:
    """The rule as text: `30 days; outcome indication`."""
    named = (("kind", rule.kinds), ("outcome", rule.outcomes), ("disposition", rule.dispositions))
    return "; ".join([f"{rule.days} days", *(f"{what} {' or '.join(values)}" for what, values in named if values)])


def _fits(rule: KeepRule) -> sa.ColumnElement[bool]:
    fits: sa.ColumnElement[bool] = sa.true()
    if rule.kinds:
        fits &= cases.c.kind.in_(rule.kinds)
    if rule.outcomes:
        fits &= cases.c.outcome.in_(rule.outcomes)
    if rule.dispositions:
        fits &= _ruling().in_(rule.dispositions)
    return fits


def _ruling() -> sa.ColumnElement[str]:
    """The last ruling on a case."""
    latest = sa.select(dispositions.c.ruling).where(dispositions.c.case_id == cases.c.case_id)
    newest = latest.order_by(dispositions.c.number.desc()).limit(1).scalar_subquery()
    return sa.func.coalesce(newest, UNDECIDED)
