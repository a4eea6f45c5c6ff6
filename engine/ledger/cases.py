"""The cases: append, number, read.

One counter row numbers the cases instead of the database's own row numbers. The transaction that holds the row's lock
commits before the next number is given. So the order of numbers is the order of commits, without holes, on SQLite and
PostgreSQL alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Condition
from typing import Any

import msgspec
import sqlalchemy as sa

from engine import wire
from engine.errors import CaseConflict
from engine.ledger.database import Database
from engine.ledger.tables import cases as _cases
from engine.ledger.tables import counter as _counter
from engine.types import Case, Entry, EvidenceFile

POLL_S = 0.5
"""Interval of polling where the database cannot notify."""
IDS_PER_STATEMENT = 500
"""Databases limit the number of values in a statement."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are wanted. An empty or None field does not restrict; all other fields must match."""

    kinds: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    occurred_from_s: float | None = None
    """Occurred at or after, Unix seconds UTC."""
    occurred_to_s: float | None = None
    """Occurred before, Unix seconds UTC."""
    removed: bool = False
    """Include the cases that retention removed; their documents are empty."""

    def matches(self, case: Case | SerializedEntry) -> bool:
        """True if the case passes; the same test as `conditions` makes in the database."""
        return (
            (not self.kinds or case.kind in self.kinds)
            and (not self.cameras or case.camera in self.cameras)
            and (not self.areas or case.area in self.areas)
            and (self.occurred_from_s is None or case.occurred_s >= self.occurred_from_s)
            and (self.occurred_to_s is None or case.occurred_s < self.occurred_to_s)
        )

    def conditions(self) -> Iterator[sa.ColumnElement[bool]]:
        """The filter as SQL."""
        if self.kinds:
            yield _cases.c.kind.in_(self.kinds)
        if self.cameras:
            yield _cases.c.camera.in_(self.cameras)
        if self.areas:
            yield _cases.c.area.in_(self.areas)
        if not self.removed:
            yield _cases.c.removed_s.is_(None)
        yield from self.time_conditions()

    def time_conditions(self) -> Iterator[sa.ColumnElement[bool]]:
        """The part of `conditions` that is about the time of the offence."""
        if self.occurred_from_s is not None:
            yield _cases.c.occurred_s >= self.occurred_from_s
        if self.occurred_to_s is not None:
            yield _cases.c.occurred_s < self.occurred_to_s


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class SerializedEntry:
    """An entry as watchers get it: the fields that filters ask about, and the message, ready to send."""

    sequence: int
    recorded_s: float
    kind: str
    camera: str
    area: str
    occurred_s: float
    message: bytes
    """A serialized WatchViolationsResponse."""


class SqlLedger:
    """The ledger in the database at `where` (see `Database`): append-only, numbered, each case id once.

    All methods are safe from any thread, block for the database, and raise LedgerError where it fails.
    """

    def __init__(self, where: Path | str, *, clock: Callable[[], float] = time.time) -> None:
        """Opens the database and brings its schema up to date."""
        self.database = Database(where)
        self._clock = clock
        self._appended = Condition()
        self._closed = False

    def append(self, cases: Sequence[Case]) -> Sequence[Entry]:
        """Store the cases durably and in order, all or none. Returns the new entries, without the known cases.

        Raises CaseConflict for a known id with another content; then nothing is appended.
        """
        if not cases:
            return ()
        entries: list[Entry] = []
        with self.database.writing("append") as connection:
            last = lock(connection)
            if fresh := self._fresh(connection, cases):
                recorded_s, rows = self._clock(), []
                for sequence, case in enumerate(fresh, last + 1):
                    summary, outcome = wire.summarise(case)
                    entries.append(Entry(sequence=sequence, recorded_s=recorded_s, case=case, summary=summary))
                    rows.append(_row(entries[-1], outcome))
                connection.execute(sa.insert(_cases), rows)
                connection.execute(sa.update(_counter).values(last_sequence=last + len(entries)))
                self.database.notify(connection)
        if not entries:
            return ()
        self._wake()
        return entries

    def read(self, after_sequence: int, limit: int, wanted: Filter = EVERYTHING) -> Sequence[Entry]:
        """At most `limit` entries after `after_sequence`, ascending."""
        with self.database.reading() as connection:
            return [_entry(row) for row in _select_after(connection, _ENTRY, after_sequence, limit, wanted)]

    def read_serialized(
        self, after_sequence: int, limit: int, wanted: Filter = EVERYTHING
    ) -> Sequence[SerializedEntry]:
        """The same entries for watchers, from row to message without a `Case`, which would be most of the work.

        `wanted` must not ask for removed cases.
        """
        with self.database.reading() as connection:
            return [_serialized(row) for row in _select_after(connection, _MESSAGE, after_sequence, limit, wanted)]

    def get(self, case_id: str) -> Entry | None:
        """The entry of a case; None if the ledger has no such case."""
        with self.database.reading() as connection:
            return next(_find(connection, [case_id]), None)

    def ids(self, occurred_from_s: float) -> frozenset[str]:
        """The ids of all cases that occurred at or after `occurred_from_s`, removed cases included."""
        wanted = sa.select(_cases.c.case_id).where(_cases.c.occurred_s >= occurred_from_s)
        with self.database.reading() as connection:
            return frozenset(connection.execute(wanted).scalars())

    def last_sequence(self) -> int:
        """The sequence of the newest entry; 0 for an empty ledger."""
        with self.database.reading() as connection:
            last: int = connection.execute(sa.select(_counter.c.last_sequence)).scalar_one()
        return last

    def wait(self, after_sequence: int, timeout_s: float) -> int:
        """Block until there is an entry after `after_sequence`, or until the timeout. Returns the last sequence.

        Returns at once after an append in this process, and on PostgreSQL after one in another process; on SQLite
        within POLL_S.
        """
        deadline_s = time.monotonic() + timeout_s
        self.database.listen(self._wake)
        while True:
            with self._appended:
                last = self.last_sequence()
                left_s = deadline_s - time.monotonic()
                if last > after_sequence or left_s <= 0 or self._closed:
                    return last
                self._appended.wait(min(left_s, POLL_S))

    def check(self) -> Sequence[str]:
        """Read the whole file and describe its damages; empty if it is sound. Slow: for the operator."""
        with self.database.reading("check") as connection:
            problems = list(self.database.damages(connection))
            count, last = connection.execute(sa.select(sa.func.count(), sa.func.max(_cases.c.sequence))).one()
        if count != (last or 0):
            problems.append(f"{last} sequences were given but {count} entries are there")
        return problems

    def close(self) -> None:
        """End every `wait` and close the database."""
        self._closed = True
        self._wake()
        self.database.close()

    def _wake(self) -> None:
        with self._appended:
            self._appended.notify_all()

    def _fresh(self, connection: sa.Connection, cases: Sequence[Case]) -> Sequence[Case]:
        """The cases that are not in the ledger, each once. Raises CaseConflict."""
        fresh: dict[str, Case] = {}
        for case in cases:
            self._require_same(fresh.setdefault(case.id, case), case)
        for entry in _find(connection, list(fresh)):
            known, case = entry.case, fresh.pop(entry.case.id)
            if entry.removed_s is not None:
                known, case = (replace(one, document=b"", folder="") for one in (known, case))
            self._require_same(known, case)
        return list(fresh.values())

    def _require_same(self, known: Case, case: Case) -> None:
        if known != case:
            raise CaseConflict(f"{self.database.name}: case {case.id} is there already, with another content")


def lock(connection: sa.Connection) -> int:
    """Keep other transactions from numbering or removing cases until this one ends. Returns the last sequence."""
    last: int = connection.execute(sa.select(_counter.c.last_sequence).with_for_update()).scalar_one()
    return last


def _select_after(
    connection: sa.Connection, columns: Sequence[sa.ColumnElement[Any]], after: int, limit: int, wanted: Filter
) -> sa.CursorResult[Any]:
    """Columns of the wanted rows after a sequence, ascending."""
    query = sa.select(*columns).where(_cases.c.sequence > after, *_range(connection, wanted), *wanted.conditions())
    return connection.execute(query.order_by(_cases.c.sequence).limit(limit))


def _range(connection: sa.Connection, wanted: Filter) -> Iterator[sa.ColumnElement[bool]]:
    """The range of sequences within the wanted time. The index of times alone answers it, so that a page is cheap at a
    million rows."""
    if times := list(wanted.time_conditions()):
        first, last = connection.execute(
            sa.select(sa.func.min(_cases.c.sequence), sa.func.max(_cases.c.sequence)).where(*times)
        ).one()
        yield _cases.c.sequence.between(first or 0, last or 0)


def _find(connection: sa.Connection, case_ids: Sequence[str]) -> Iterator[Entry]:
    """The entries of the cases that are in the ledger, with few statements."""
    for start in range(0, len(case_ids), IDS_PER_STATEMENT):
        named = _cases.c.case_id.in_(case_ids[start : start + IDS_PER_STATEMENT])
        yield from map(_entry, connection.execute(sa.select(*_ENTRY).where(named)))


_files = msgspec.json.Decoder(tuple[EvidenceFile, ...])


def _row(entry: Entry, outcome: str) -> dict[str, object]:
    case = entry.case
    return {
        "sequence": entry.sequence,
        "case_id": case.id,
        "recorded_s": entry.recorded_s,
        "occurred_s": case.occurred_s,
        "kind": case.kind,
        "camera": case.camera,
        "area": case.area,
        "outcome": outcome,
        "document": case.document,
        "summary": entry.summary,
        "files": msgspec.json.encode(case.files),
        "folder": case.folder,
    }


def _columns(names: str) -> tuple[sa.Column[Any], ...]:
    return tuple(_cases.c[name] for name in names.split())


_ENTRY = _columns("case_id camera kind occurred_s document files folder area sequence recorded_s removed_s summary")
_MESSAGE = _columns("sequence recorded_s kind camera area occurred_s summary document")


def _entry(row: Any) -> Entry:
    """Of a row of `_ENTRY`. By position: three times as fast as by name, where a million rows are read."""
    case_id, camera, kind, occurred_s, document, files, folder, area, sequence, recorded_s, removed_s, summary = row
    case = Case(case_id, camera, kind, occurred_s, document, _files.decode(files), folder, area)
    return Entry(sequence, recorded_s, case, removed_s, summary)


def _serialized(row: Any) -> SerializedEntry:
    """Of a row of `_MESSAGE`."""
    sequence, recorded_s, kind, camera, area, occurred_s, summary, document = row
    message = wire.serialize_entry(sequence, recorded_s, summary, document)
    return SerializedEntry(sequence, recorded_s, kind, camera, area, occurred_s, message)
