"""The cases: appended, numbered, read.

A counter row instead of the database's own row numbers: whoever holds the row's lock commits before the next number is
given, hence order of numbers = order of commits, and no holes, on SQLite and PostgreSQL alike.
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
"""How soon what another process appended is noticed where it cannot tell."""
NAMES = 500
"""Ids in one statement: databases bound how many values it may carry."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are wanted. What is empty or None does not restrict; what is given must all hold."""

    kinds: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    occurred_from_s: float | None = None
    """Occurred at or after, Unix seconds UTC."""
    occurred_to_s: float | None = None
    """Occurred before."""

    removed: bool = False
    """Also the cases that retention removed, whose documents are empty."""

    def matches(self, case: Case | EntrySummary) -> bool:
        """Does it let a case through? As `conditions` does in the database."""
        return (
            (not self.kinds or case.kind in self.kinds)
            and (not self.cameras or case.camera in self.cameras)
            and (not self.areas or case.area in self.areas)
            and (self.occurred_from_s is None or case.occurred_s >= self.occurred_from_s)
            and (self.occurred_to_s is None or case.occurred_s < self.occurred_to_s)
        )

    def conditions(self) -> Iterator[sa.ColumnElement[bool]]:
        if self.kinds:
            yield _cases.c.kind.in_(self.kinds)
        if self.cameras:
            yield _cases.c.camera.in_(self.cameras)
        if self.areas:
            yield _cases.c.area.in_(self.areas)
        if not self.removed:
            yield _cases.c.removed_s.is_(None)
        yield from self.times()

    def times(self) -> Iterator[sa.ColumnElement[bool]]:
        if self.occurred_from_s is not None:
            yield _cases.c.occurred_s >= self.occurred_from_s
        if self.occurred_to_s is not None:
            yield _cases.c.occurred_s < self.occurred_to_s


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class EntrySummary:
    """An entry as watchers get it: what filters ask about, and the case as it was serialised when it was appended."""

    sequence: int
    recorded_s: float
    kind: str
    camera: str
    area: str
    occurred_s: float
    summary: bytes
    """`wire.summary` of the case."""
    document: bytes


class SqlLedger:
    """The register in the database at `where` (`Database`). All methods are safe from any thread.

    Raises LedgerError when it cannot be opened.
    """

    def __init__(self, where: Path | str, *, clock: Callable[[], float] = time.time) -> None:
        self.database = Database(where)
        self._clock = clock
        self._grown = Condition()
        self._closed = False

    def append(self, cases: Sequence[Case]) -> Sequence[Entry]:
        """Make the cases durable in order, all or none; those that are there already are left out of the result.

        Raises LedgerError or CaseConflict, with nothing appended either way.
        """
        if not cases:
            return ()
        with self.database.writing("append") as connection:
            last = lock(connection)
            if fresh := self._fresh(connection, cases):
                recorded_s = self._clock()
                entries = [Entry(last + 1 + i, recorded_s, case) for i, case in enumerate(fresh)]
                connection.execute(sa.insert(_cases), [_row(entry) for entry in entries])
                connection.execute(sa.update(_counter).values(last_sequence=last + len(entries)))
                self.database.tell(connection)
        if not fresh:
            return ()
        self._wake()
        return entries

    def read(self, after_sequence: int, limit: int, wanted: Filter = EVERYTHING) -> Sequence[Entry]:
        """At most `limit` entries that follow `after_sequence`, ascending. Raises LedgerError."""
        with self.database.reading() as connection:
            return [_entry(row) for row in _following(connection, _FIELDS, after_sequence, limit, wanted)]

    def notices(self, after_sequence: int, limit: int, wanted: Filter = EVERYTHING) -> Sequence[EntrySummary]:
        """The same entries, as watchers get them: no case is built, which is most of the work. Raises LedgerError."""
        with self.database.reading() as connection:
            rows = _following(connection, (*_FIELDS, _KNOWN_SUMMARY), after_sequence, limit, wanted)
            return [_notice(row) for row in rows]

    def get(self, case_id: str) -> Entry | None:
        """The entry of a case, None if there is none. Raises LedgerError."""
        with self.database.reading() as connection:
            return next(_find(connection, [case_id]), None)

    def ids(self, occurred_from_s: float) -> frozenset[str]:
        """The ids of all cases that occurred at or after, removed ones too. Raises LedgerError."""
        wanted = sa.select(_cases.c.case_id).where(_cases.c.occurred_s >= occurred_from_s)
        with self.database.reading() as connection:
            return frozenset(connection.execute(wanted).scalars())

    def last_sequence(self) -> int:
        """The sequence of the newest entry, 0 for an empty register. Raises LedgerError."""
        with self.database.reading() as connection:
            last: int = connection.execute(sa.select(_counter.c.last_sequence)).scalar_one()
        return last

    def wait(self, after_sequence: int, timeout_s: float) -> int:
        """Block until there is something after `after_sequence`, or time is up; returns the last sequence.

        Returns at once after an append in this process, and on PostgreSQL after one in another; on SQLite within
        POLL_S. Raises LedgerError.
        """
        deadline_s = time.monotonic() + timeout_s
        self.database.listen(self._wake)
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
            problems = list(self.database.damages(connection))
            count, last = connection.execute(sa.select(sa.func.count(), sa.func.max(_cases.c.sequence))).one()
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

    def _fresh(self, connection: sa.Connection, cases: Sequence[Case]) -> Sequence[Case]:
        """The cases that are not in the register, each once; raises CaseConflict."""
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
    """Let nobody else number or remove cases until the transaction ends; the last sequence that was given."""
    last: int = connection.execute(sa.select(_counter.c.last_sequence).with_for_update()).scalar_one()
    return last


def _following(
    connection: sa.Connection, columns: Sequence[sa.ColumnElement[Any]], after: int, limit: int, wanted: Filter
) -> sa.CursorResult[Any]:
    """Columns of the wanted rows that follow a sequence, ascending."""
    query = sa.select(*columns).where(_cases.c.sequence > after, *_within(connection, wanted), *wanted.conditions())
    return connection.execute(query.order_by(_cases.c.sequence).limit(limit))


def _within(connection: sa.Connection, wanted: Filter) -> Iterator[sa.ColumnElement[bool]]:
    """Between which sequences all lies that occurred in the wanted time: the index of times alone tells it, so that a
    page is cheap at a million rows."""
    if times := list(wanted.times()):
        first, last = connection.execute(
            sa.select(sa.func.min(_cases.c.sequence), sa.func.max(_cases.c.sequence)).where(*times)
        ).one()
        yield _cases.c.sequence.between(first or 0, last or 0)


def _find(connection: sa.Connection, case_ids: Sequence[str]) -> Iterator[Entry]:
    """The entries of those cases that are there, with few statements."""
    for start in range(0, len(case_ids), NAMES):
        named = _cases.c.case_id.in_(case_ids[start : start + NAMES])
        yield from map(_entry, connection.execute(sa.select(*_FIELDS).where(named)))


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
        "area": case.area,
        "outcome": _outcome(case.document),
        "summary": wire.summary(case),
        "summary_form": wire.SUMMARY_FORM,
    }


_FIELDS = tuple(
    _cases.c[name]
    for name in (
        "case_id", "camera", "kind", "occurred_s", "document", "files", "folder", "area",
        "sequence", "recorded_s", "removed_s",
    )
)  # fmt: skip


def _entry(row: Any) -> Entry:
    """Of a row of `_FIELDS`; by place, which is three times as fast as by name where a million of them are read."""
    case_id, camera, kind, occurred_s, document, files, folder, area, sequence, recorded_s, removed_s = row
    case = Case(case_id, camera, kind, occurred_s, document, _files.decode(files), folder, area)
    return Entry(sequence, recorded_s, case, removed_s)


_KNOWN_SUMMARY = sa.case((_cases.c.summary_form == wire.SUMMARY_FORM, _cases.c.summary))
"""NULL where a program of before or after this one wrote it."""


def _notice(row: Any) -> EntrySummary:
    """Of a row of `_FIELDS` and `_KNOWN_SUMMARY`."""
    *fields, summary = row
    _, camera, kind, occurred_s, document, _, _, area, sequence, recorded_s, _ = fields
    if summary is None:
        summary = wire.summary(_entry(fields).case)
    return EntrySummary(sequence, recorded_s, kind, camera, area, occurred_s, summary, document)


class _OutcomeOnly(msgspec.Struct):
    """What the register reads of a document."""

    outcome: str = ""


_told = msgspec.json.Decoder(_OutcomeOnly)


def _outcome(document: bytes) -> str:
    """Empty for a document that cannot be read: a case is never held back."""
    try:
        return _told.decode(document).outcome
    except msgspec.DecodeError:
        return ""
