"""The cases: appended, numbered, read.

A counter row instead of the database's own row numbers: whoever holds the row's lock commits before the next number is
given, hence order of numbers = order of commits, and no holes, on SQLite and PostgreSQL alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from typing import Any

import msgspec
import sqlalchemy as sa

from engine.errors import CaseConflict
from engine.register.database import Database
from engine.register.tables import cases as _cases
from engine.register.tables import counter as _counter
from engine.types import Case, Entry, EvidenceFile

POLL_S = 0.5
"""How soon what another process appended is noticed."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are wanted. What is empty or None does not restrict; what is given must all hold."""

    kinds: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    occurred_from_s: float | None = None
    """Occurred at or after, Unix seconds UTC."""
    occurred_to_s: float | None = None
    """Occurred before."""

    def conditions(self) -> Iterator[sa.ColumnElement[bool]]:
        if self.kinds:
            yield _cases.c.kind.in_(self.kinds)
        if self.cameras:
            yield _cases.c.camera.in_(self.cameras)
        if self.occurred_from_s is not None:
            yield _cases.c.occurred_s >= self.occurred_from_s
        if self.occurred_to_s is not None:
            yield _cases.c.occurred_s < self.occurred_to_s


EVERYTHING = Filter()


class SqlRegister:
    """The register in the database at `where` (`Database`). All methods are safe from any thread.

    Raises RegisterError when it cannot be opened.
    """

    def __init__(self, where: Path | str, *, clock: Callable[[], float] = time.time) -> None:
        self.database = Database(where)
        self._clock = clock
        self._grown = Condition()
        self._closed = False

    def append(self, cases: Sequence[Case]) -> Sequence[Entry]:
        """Make the cases durable in order, all or none; those that are there already are left out of the result.

        Raises RegisterError or CaseConflict, with nothing appended either way.
        """
        if not cases:
            return ()
        with self.database.writing("append") as connection:
            entries = self._number(connection, self._fresh(connection, cases))
            if entries:
                connection.execute(sa.insert(_cases), [_row(entry) for entry in entries])
        self._wake()
        return entries

    def read(self, after_sequence: int, limit: int, wanted: Filter = EVERYTHING) -> Sequence[Entry]:
        """At most `limit` entries that follow `after_sequence`, ascending. Raises RegisterError."""
        query = (
            sa.select(_cases)
            .where(_cases.c.sequence > after_sequence, *wanted.conditions())
            .order_by(_cases.c.sequence)
            .limit(limit)
        )
        with self.database.reading() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def get(self, case_id: str) -> Entry | None:
        """The entry of a case, None if there is none. Raises RegisterError."""
        with self.database.reading() as connection:
            return _find(connection, case_id)

    def last_sequence(self) -> int:
        """The sequence of the newest entry, 0 for an empty register. Raises RegisterError."""
        with self.database.reading() as connection:
            last: int = connection.execute(sa.select(_counter.c.last_sequence)).scalar_one()
        return last

    def wait(self, after_sequence: int, timeout_s: float) -> int:
        """Block until there is something after `after_sequence`, or time is up; returns the last sequence.

        Returns at once after an append in this process, within POLL_S after one in another. Raises RegisterError.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            with self._grown:
                last = self.last_sequence()
                left_s = deadline_s - time.monotonic()
                if last > after_sequence or left_s <= 0 or self._closed:
                    return last
                self._grown.wait(min(left_s, POLL_S))

    def check(self) -> Sequence[str]:
        """Read the whole file and name what is damaged; empty when it is sound. Slow: for the operator."""
        with self.database.reading("check") as connection:
            found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check")]
            count, last = connection.execute(sa.select(sa.func.count(), sa.func.max(_cases.c.sequence))).one()
        problems = [line for line in found if line != "ok"]
        if count != (last or 0):
            problems.append(f"{last} sequences were given but {count} entries are there")
        return problems

    def close(self) -> None:
        """Wake whoever waits, and let the file go."""
        self._closed = True
        self._wake()
        self.database.close()

    def _wake(self) -> None:
        with self._grown:
            self._grown.notify_all()

    def _fresh(self, connection: sa.Connection, cases: Sequence[Case]) -> list[Case]:
        """The cases that are not in the register, each once; raises CaseConflict."""
        fresh: dict[str, Case] = {}
        for case in cases:
            entry = _find(connection, case.id)
            known = entry.case if entry else fresh.setdefault(case.id, case)
            if known != case:
                raise CaseConflict(f"{self.database.name}: case {case.id} is there already, with another content")
        return list(fresh.values())

    def _number(self, connection: sa.Connection, cases: Sequence[Case]) -> Sequence[Entry]:
        if not cases:
            return ()
        first = _advance(connection, len(cases)) - len(cases) + 1
        recorded_s = self._clock()
        return [Entry(first + i, recorded_s, case) for i, case in enumerate(cases)]


def _advance(connection: sa.Connection, count: int) -> int:
    """Take `count` numbers; returns the last one."""
    advance = sa.update(_counter).values(last_sequence=_counter.c.last_sequence + count)
    last: int = connection.execute(advance.returning(_counter.c.last_sequence)).scalar_one()
    return last


def _find(connection: sa.Connection, case_id: str) -> Entry | None:
    row = connection.execute(sa.select(_cases).where(_cases.c.case_id == case_id)).first()
    return _entry(row) if row else None


_files = msgspec.json.Decoder(tuple[EvidenceFile, ...])


def _row(entry: Entry) -> dict[str, object]:
    case = entry.case
    return {
        "sequence": entry.sequence,
        "case_id": case.id,
        "recorded_s": entry.recorded_s,
        "occurred_s": case.occurred_s,
        "kind": case.kind,
        "camera": case.camera,
        "document": case.document,
        "files": msgspec.json.encode(case.files),
        "folder": case.folder,
    }


def _entry(row: sa.Row[Any]) -> Entry:
    case = Case(
        id=row.case_id,
        camera=row.camera,
        kind=row.kind,
        occurred_s=row.occurred_s,
        document=row.document,
        files=_files.decode(row.files),
        folder=row.folder,
    )
    return Entry(row.sequence, row.recorded_s, case)
