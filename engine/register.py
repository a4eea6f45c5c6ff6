"""The register: an append-only, numbered, idempotent table of cases; the source of truth of delivery.

SQLite through SQLAlchemy Core, in write-ahead mode with `synchronous=FULL`: a case that `append` has returned survives
kill -9 and a power cut (https://sqlite.org/pragma.html#pragma_synchronous). One process writes, any number read. The
tables use portable types and a counter row instead of SQLite's rowid, so that PostgreSQL numbers them alike: whoever
holds the counter's row lock commits before the next number is given, hence order of numbers = order of commits, and no
holes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from engine.errors import CaseConflict, RegisterError
from engine.types import Case, Entry, EvidenceFile

SCHEMA_VERSION = 1
BUSY_S = 10.0
"""How long a writer waits for another one."""
POLL_S = 0.5
"""How soon what another process appended is noticed."""

_metadata = sa.MetaData()
_schema = sa.Table("schema_version", _metadata, sa.Column("version", sa.Integer, nullable=False))
_counter = sa.Table("counter", _metadata, sa.Column("last_sequence", sa.BigInteger, nullable=False))
_cases = sa.Table(
    "cases",
    _metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("case_id", sa.String(255), nullable=False, unique=True),
    sa.Column("recorded_s", sa.Double, nullable=False),
    sa.Column("occurred_s", sa.Double, nullable=False),
    sa.Column("kind", sa.String(63), nullable=False),
    sa.Column("camera", sa.String(63), nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Column("files", sa.LargeBinary, nullable=False, comment="JSON list of name, media_type, size_bytes, sha256"),
    sa.Column("folder", sa.String(1023), nullable=False),
    sa.Index("cases_by_kind", "kind", "sequence"),
    sa.Index("cases_by_camera", "camera", "sequence"),
    sa.Index("cases_by_time", "occurred_s"),
)


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
    """The register in the SQLite file at `path`, made when it is not there. All methods are safe from any thread.

    Raises RegisterError when the file is no register, of a newer schema, or damaged.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._grown = Condition()
        self._closed = False
        with self._errors("open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._engine = _engine(path)
            self._prepare()

    def append(self, cases: Sequence[Case]) -> Sequence[Entry]:
        """Make the cases durable in order, all or none; those that are there already are left out of the result.

        Raises RegisterError or CaseConflict, with nothing appended either way.
        """
        if not cases:
            return ()
        with self._errors("append"), self._engine.execution_options(writes=True).begin() as connection:
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
        with self._errors("read"), self._engine.connect() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def get(self, case_id: str) -> Entry | None:
        """The entry of a case, None if there is none. Raises RegisterError."""
        with self._errors("read"), self._engine.connect() as connection:
            return _find(connection, case_id)

    def last_sequence(self) -> int:
        """The sequence of the newest entry, 0 for an empty register. Raises RegisterError."""
        with self._errors("read"), self._engine.connect() as connection:
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
        with self._errors("check"), self._engine.connect() as connection:
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
        self._engine.dispose()

    def _wake(self) -> None:
        with self._grown:
            self._grown.notify_all()

    def _prepare(self) -> None:
        with self._engine.execution_options(writes=True).begin() as connection:
            _metadata.create_all(connection)
            version = connection.execute(sa.select(_schema.c.version)).scalar()
            if version is None:
                connection.execute(sa.insert(_schema).values(version=SCHEMA_VERSION))
                connection.execute(sa.insert(_counter).values(last_sequence=0))
            elif version != SCHEMA_VERSION:
                raise RegisterError(f"{self._path}: schema {version}, this program knows {SCHEMA_VERSION}")

    def _fresh(self, connection: sa.Connection, cases: Sequence[Case]) -> list[Case]:
        """The cases that are not in the register, each once; raises CaseConflict."""
        fresh: dict[str, Case] = {}
        for case in cases:
            entry = _find(connection, case.id)
            known = entry.case if entry else fresh.setdefault(case.id, case)
            if known != case:
                raise CaseConflict(f"{self._path}: case {case.id} is there already, with another content")
        return list(fresh.values())

    def _number(self, connection: sa.Connection, cases: Sequence[Case]) -> Sequence[Entry]:
        if not cases:
            return ()
        first = _advance(connection, len(cases)) - len(cases) + 1
        recorded_s = self._clock()
        return [Entry(first + i, recorded_s, case) for i, case in enumerate(cases)]

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DBAPIError, OSError, msgspec.DecodeError) as error:
            reason = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            raise RegisterError(f"{self._path}: cannot {verb}: {_explain(str(reason))}") from error


def _engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_S}, pool_size=8, max_overflow=32
    )
    sa.event.listen(engine, "connect", _configure)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: Any, _entry: ConnectionPoolEntry) -> None:
    """Transactions begin where `_begin` says, not where the driver guesses; then SQLite's own settings."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    """A writer takes the lock at the beginning: taking it later fails at once, whatever the time-out."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


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


def _explain(reason: str) -> str:
    """SQLite's words, with what to do about those that an operator meets."""
    advice = {
        "database or disk is full": "free space, nothing was appended",
        "malformed": "the file is damaged: restore it from a backup",
        "not a database": "the file is no register",
        "attempt to write a readonly database": "the file or its folder cannot be written",
        "locked": "another process writes for too long",
    }
    return next((f"{reason} ({what})" for words, what in advice.items() if words in reason), reason)
