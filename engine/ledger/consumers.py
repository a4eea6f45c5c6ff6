"""Named consumers: how far each has processed the cases. A cursor only moves forward."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from engine.errors import LimitReached, NotOwned
from engine.ledger.database import Database
from engine.ledger.tables import metadata

LIMIT = 100
"""Limit of consumers per credential: all are read every second, and each has a metric."""

_consumers = sa.Table(
    "consumers",
    metadata,
    sa.Column("name", sa.String(63), primary_key=True),
    sa.Column("owner", sa.String(63), nullable=False),
    sa.Column("acknowledged", sa.BigInteger, nullable=False),
    sa.Column("updated_s", sa.Double, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Consumer:
    """A client that follows the ledger under a name."""

    name: str
    owner: str
    """Name of its credential: no other credential may move the cursor."""
    acknowledged: int
    """The consumer has processed every entry up to this sequence."""
    updated_s: float


class Consumers:
    """The cursors in the ledger's database. Safe from any thread; every method raises LedgerError."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def all(self) -> Sequence[Consumer]:
        """Every consumer, by name."""
        with self._database.reading() as connection:
            return [Consumer(*row) for row in connection.execute(sa.select(_consumers).order_by(_consumers.c.name))]

    def cursor(self, name: str, owner: str) -> int:
        """The cursor of a consumer; 0 for one that never acknowledged. Raises NotOwned."""
        with self._database.reading() as connection:
            return _owned(connection, name, owner)

    def acknowledge(self, name: str, owner: str, sequence: int) -> int:
        """Move a consumer's cursor forward to `sequence`; a lower sequence changes nothing. Returns the cursor.

        The first credential that acknowledges under a name owns it. Raises NotOwned, and LimitReached for a new
        consumer beyond the limit.
        """
        with self._database.writing("acknowledge") as connection:
            current = _owned(connection, name, owner)
            if not connection.execute(sa.select(_consumers.c.name).where(_consumers.c.name == name)).first():
                _require_room(connection, owner)
                row = {"name": name, "owner": owner, "acknowledged": sequence, "updated_s": self._clock()}
                connection.execute(sa.insert(_consumers).values(row))
            elif sequence > current:
                behind = (_consumers.c.name == name) & (_consumers.c.acknowledged < sequence)
                moved = {"acknowledged": sequence, "updated_s": self._clock()}
                connection.execute(sa.update(_consumers).where(behind).values(moved))
            return _owned(connection, name, owner)


def _require_room(connection: sa.Connection, owner: str) -> None:
    counted = sa.select(sa.func.count()).where(_consumers.c.owner == owner)
    if connection.execute(counted).scalar_one() >= LIMIT:
        raise LimitReached(f"{owner!r} has {LIMIT} consumers, the limit is reached")


def _owned(connection: sa.Connection, name: str, owner: str) -> int:
    row = connection.execute(sa.select(_consumers).where(_consumers.c.name == name)).first()
    if row is not None and row.owner != owner:
        raise NotOwned(f"consumer {name!r} belongs to another credential")
    return row.acknowledged if row else 0
