"""Decisions of registers and officers about cases: append-only."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from enum import Enum
from typing import TypeVar

import sqlalchemy as sa

from engine.errors import LimitReached, RecordConflict
from engine.ledger.database import Database, record
from engine.ledger.tables import metadata
from engine.types.decision import Disposition, Review

Decision = TypeVar("Decision", Disposition, Review)

LIMIT = 200
"""Limit of dispositions of one case, and of reviews: GetCase returns all of them."""

_Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")

dispositions = sa.Table(
    "dispositions",
    metadata,
    sa.Column("number", _Number, primary_key=True),
    sa.Column("report_id", sa.String(255), nullable=False),
    sa.Column("reporter", sa.String(63), nullable=False),
    sa.Column("case_id", sa.String(255), nullable=False),
    sa.Column("ruling", sa.String(31), nullable=False),
    sa.Column("reason", sa.String(1023), nullable=False),
    sa.Column("reference", sa.String(255), nullable=False),
    sa.Column("decided_s", sa.Double, nullable=False),
    sa.Column("recorded_s", sa.Double, nullable=False),
    sa.UniqueConstraint("reporter", "report_id", name="disposition_once"),
    sa.Index("dispositions_by_case", "case_id"),
)
_reviews = sa.Table(
    "reviews",
    metadata,
    sa.Column("number", _Number, primary_key=True),
    sa.Column("review_id", sa.String(255), nullable=False, unique=True),
    sa.Column("officer", sa.String(63), nullable=False),
    sa.Column("person", sa.String(255), nullable=False),
    sa.Column("case_id", sa.String(255), nullable=False),
    sa.Column("finding", sa.String(31), nullable=False),
    sa.Column("reason", sa.String(1023), nullable=False),
    sa.Column("supersedes", sa.String(255), nullable=False),
    sa.Column("recorded_s", sa.Double, nullable=False),
    sa.UniqueConstraint("case_id", "supersedes", name="review_in_succession"),
)


class Decisions:
    """Dispositions and reviews in the ledger's database. Safe from any thread; every method raises LedgerError."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def report(self, disposition: Disposition) -> Disposition:
        """Record a register's decision. Returns the record; a repeated report returns the first one.

        Raises RecordConflict for a known `report_id` with another content, LimitReached beyond the limit.
        """
        with self._database.writing("record a disposition") as connection:
            same = (dispositions.c.reporter == disposition.reporter) & (
                dispositions.c.report_id == disposition.report_id
            )
            if known := connection.execute(sa.select(dispositions).where(same)).first():
                return _same(record(Disposition, known), disposition, f"report {disposition.report_id!r}")
            _require_room(connection, dispositions, disposition.case_id)
            fresh = replace(disposition, recorded_s=self._clock())
            connection.execute(sa.insert(dispositions).values(_values(fresh)))
            return fresh

    def review(self, review: Review) -> Review:
        """Record an officer's decision. Returns the record; a repeated review returns the first one.

        Raises RecordConflict if the review does not name the current one in `supersedes`, and for a known `review_id`
        with another content; LimitReached beyond the limit.
        """
        with self._database.writing("record a review") as connection:
            if known := connection.execute(sa.select(_reviews).where(_reviews.c.review_id == review.review_id)).first():
                return _same(record(Review, known), review, f"review {review.review_id!r}")
            _require_room(connection, _reviews, review.case_id)
            _require_current(_reviews_of(connection, review.case_id), review)
            fresh = replace(review, recorded_s=self._clock())
            connection.execute(sa.insert(_reviews).values(_values(fresh)))
            return fresh

    def of_case(self, case_id: str) -> tuple[Sequence[Disposition], Sequence[Review]]:
        """All decisions about a case, in the order of recording."""
        wanted = sa.select(dispositions).where(dispositions.c.case_id == case_id).order_by(dispositions.c.number)
        with self._database.reading() as connection:
            return [record(Disposition, row) for row in connection.execute(wanted)], _reviews_of(connection, case_id)


def _require_room(connection: sa.Connection, table: sa.Table, case_id: str) -> None:
    counted = sa.select(sa.func.count()).where(table.c.case_id == case_id)
    if connection.execute(counted).scalar_one() >= LIMIT:
        raise LimitReached(f"case {case_id!r} has {LIMIT} {table.name}, the limit is reached")


def _require_current(earlier: Sequence[Review], review: Review) -> None:
    """The new review must name the last one."""
    current = earlier[-1].review_id if earlier else ""
    if review.supersedes == current:
        return
    if not earlier:
        raise RecordConflict(f"case {review.case_id!r} has no review {review.supersedes!r} to supersede")
    last = earlier[-1]
    raise RecordConflict(
        f"case {review.case_id!r} was {last.finding.value} by {last.person!r} in review {last.review_id!r}: "
        "name it in supersedes to replace it"
    )


def _same(known: Decision, sent: Decision, what: str) -> Decision:
    if replace(known, recorded_s=0.0) != replace(sent, recorded_s=0.0):
        raise RecordConflict(f"{what} was recorded already, with another content")
    return known


def _values(decision: Disposition | Review) -> dict[str, object]:
    return {name: value.value if isinstance(value, Enum) else value for name, value in asdict(decision).items()}


def _reviews_of(connection: sa.Connection, case_id: str) -> Sequence[Review]:
    wanted = sa.select(_reviews).where(_reviews.c.case_id == case_id).order_by(_reviews.c.number)
    return [record(Review, row) for row in connection.execute(wanted)]
