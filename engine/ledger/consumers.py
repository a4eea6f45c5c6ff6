"""Named consumers: how far each has dealt with the cases. A cursor only ever moves forward."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from engine.errors import LimitReached, NotOwned
from engine.ledger.database import Database
from engine.ledger.tables import metadata

MOST = 100
"""Consumers of one credential: all of them are read every second, and each has a metric."""

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
    """Somebody who takes the cases."""

    name: str
    owner: str
    """Name of the credential that it belongs to: no other may move its cursor."""
    acknowledged: int
    """Every entry up to this sequence has been dealt with."""
    updated_s: float


class Consumers:
    """The consumers' cursors in the register's database. All methods are safe from any thread; raise LedgerError."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def all(self) -> Sequence[Consumer]:
        """Every consumer there is, by name."""
        with self._database.reading() as connection:
            return [Consumer(*row) for row in connection.execute(sa.select(_consumers).order_by(_consumers.c.name))]

    def cursor(self, name: str, owner: str) -> int:
        """Where a consumer stands; 0 for one that never acknowledged. Raises NotOwned."""
        with self._database.reading() as connection:
            return _owned(connection, name, owner)

    def acknowledge(self, name: str, owner: str, sequence: int) -> int:
        """Move a consumer's cursor forward to `sequence`; a lower one moves nothing. Returns where it stands.

        The first to acknowledge under a name owns it. Raises NotOwned, and LimitReached for one consumer too many.
        """
        with self._database.writing("acknowledge") as connection:
            stands = _owned(connection, name, owner)
            if not connection.execute(sa.select(_consumers.c.name).where(_consumers.c.name == name)).first():
                _require_room(connection, owner)
                row = {"name": name, "owner": owner, "acknowledged": sequence, "updated_s": self._clock()}
                connection.execute(sa.insert(_consumers).values(row))
            elif sequence > stands:
                behind = (_consumers.c.name == name) & (_consumers.c.acknowledged < sequence)
                moved = {"acknowledged": sequence, "updated_s": self._clock()}
                connection.execute(sa.update(_consumers).where(behind).values(moved))
            return _owned(connection, name, owner)


def _require_room(connection: sa.Connection, owner: str) -> None:
    counted = sa.select(sa.func.count()).where(_consumers.c.owner == owner)
    if connection.execute(counted).scalar_one() >= MOST:
        raise LimitReached(f"{owner!r} has {MOST} consumers, more there may not be")


def _owned(connection: sa.Connection, name: str, owner: str) -> int:
    row = connection.execute(sa.select(_consumers).where(_consumers.c.name == name)).first()
    if row is not None and row.owner != owner:
        raise NotOwned(f"consumer {name!r} belongs to another credential")
    return row.acknowledged if row else 0
