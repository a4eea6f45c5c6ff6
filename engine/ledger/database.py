"""The database of the ledger: SQLite in a file, embedded, or a PostgreSQL server that several nodes share.

SQLite runs in write-ahead mode with `synchronous=FULL`: a committed transaction survives kill -9 and a power cut
(https://sqlite.org/pragma.html#pragma_synchronous). One process writes at a time, any number read. PostgreSQL gets
`synchronous_commit=on`, whatever the server's default. A server that does not answer, or a node that hangs while it
holds a lock, is an error after BUSY_S; it does not stop the pipeline.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.pool import ConnectionPoolEntry

from engine.errors import LedgerError
from engine.ledger.schema import upgrade

log = structlog.get_logger()

T = TypeVar("T")

BUSY_S = 10.0
"""How long a writer waits for another one."""
CHANNEL = "qyran_ledger"
"""PostgreSQL's channel for appends (LISTEN, NOTIFY)."""
ASK_S = 1.0
"""Interval at which a listening thread looks whether it must end."""
RETRY_S = 1.0
"""Pause before a listening thread connects again."""


class Database:
    """The database at `where`: a path for SQLite, else a URL. Created or brought up to date when it is opened.

    All methods are safe from any thread. Raises LedgerError if it is no ledger, has a newer schema, is damaged or
    cannot be reached; no message shows a password.
    """

    def __init__(self, where: Path | str) -> None:
        url = _url(where)
        self.where = where
        """Path or URL as given; may hold a password."""
        self.name = _shown(url)
        self.is_shared = url.get_backend_name() == "postgresql"
        """True if other machines may write to it."""
        self._listening = threading.Lock()
        self._listener: _AppendListener | None = None
        with self._errors("open"):
            self._engine = _postgres(url) if self.is_shared else _sqlite(url)
        with self.writing("open") as connection:
            upgrade(connection, self.name)

    @contextmanager
    def reading(self, verb: str = "read") -> Iterator[sa.Connection]:
        """A connection for reading; an error says that the ledger cannot `verb`. Raises LedgerError."""
        with self._errors(verb), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, verb: str = "write") -> Iterator[sa.Connection]:
        """A transaction for writing: committed at the end, rolled back by any exception. Raises LedgerError.

        On SQLite it holds the write lock from its beginning; on PostgreSQL it runs as READ COMMITTED.
        """
        with self._errors(verb), self._engine.execution_options(writes=True).begin() as connection:
            yield connection

    def damages(self, connection: sa.Connection) -> Iterator[str]:
        """The damages that SQLite finds in its file. PostgreSQL checks its own files."""
        if not self.is_shared:
            found = (str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check"))
            yield from (line for line in found if line != "ok")

    def notify(self, connection: sa.Connection) -> None:
        """Wake every `listen` when this transaction commits."""
        if self.is_shared:
            connection.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` from another thread whenever another program may have committed.

        Only the first call has an effect. Does nothing on SQLite, which cannot notify.
        """
        with self._listening:
            if self.is_shared and self._listener is None:
                self._listener = _AppendListener(self._engine, wake)

    def close(self) -> None:
        """Close all connections."""
        with self._listening:
            if self._listener:
                self._listener.stop()
        self._engine.dispose()

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DBAPIError, sa.exc.TimeoutError, OSError, msgspec.DecodeError) as error:
            reason = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            raise LedgerError(f"{self.name}: cannot {verb}: {_explain(str(reason).strip())}") from error


def record(kind: type[T], row: sa.Row[Any], **other: object) -> T:
    """A row as a dataclass: the columns of the same names, and the `other` fields."""
    names = [field.name for field in fields(kind) if field.name not in other]  # type: ignore[arg-type]
    return msgspec.convert({name: getattr(row, name) for name in names} | other, kind)


def _url(where: Path | str) -> sa.URL:
    if isinstance(where, Path):
        return sa.URL.create("sqlite", database=str(where))
    try:
        url = sa.make_url(where)
    except sa.exc.ArgumentError:
        raise LedgerError("ledger.url: is not a database URL") from None
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise LedgerError(f"ledger.url: {url.get_backend_name()} is neither sqlite nor postgresql")
    return url.set(drivername="postgresql+psycopg") if url.get_backend_name() == "postgresql" else url


def _shown(url: sa.URL) -> str:
    """The name in messages: without user, password and options."""
    if url.get_backend_name() == "sqlite":
        return url.database or "sqlite"
    return sa.URL.create("postgresql", host=url.host, port=url.port, database=url.database).render_as_string()


def _sqlite(url: sa.URL) -> sa.Engine:
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_S}, pool_size=8, max_overflow=32)
    sa.event.listen(engine, "connect", _configure_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    """The driver must not begin transactions by itself: `_begin_sqlite` does."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    """A writer takes the lock at the beginning: SQLite refuses to upgrade a read lock later, whatever the time-out."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgres(url: sa.URL) -> sa.Engine:
    """With time-outs of libpq and of the server (https://www.postgresql.org/docs/current/libpq-connect.html)."""
    busy_ms = int(BUSY_S * 1000)
    options: dict[str, object] = {
        "connect_timeout": max(1, int(BUSY_S)),
        "tcp_user_timeout": busy_ms,
        "keepalives_idle": max(1, int(BUSY_S)),
        "keepalives_interval": max(1, int(BUSY_S / 4)),
        "keepalives_count": 4,
        "options": f"-c synchronous_commit=on -c lock_timeout={busy_ms}",
    }
    try:
        return sa.create_engine(url, connect_args=options, pool_size=8, max_overflow=32, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise LedgerError("ledger.url: PostgreSQL needs `pip install 'qyran[postgres]'`") from error


def _explain(reason: str) -> str:
    """The database's message, with advice for those that an operator meets."""
    advice = {
        "database or disk is full": "free space, nothing was written",
        "No space left on device": "free space, nothing was written",
        "malformed": "the file is damaged: restore it from a backup",
        "not a database": "the file is no ledger",
        "attempt to write a readonly database": "the file or its folder cannot be written",
        "locked": "another process writes for too long",
        "lock timeout": "another node writes for too long",
    }
    return next((f"{reason} ({what})" for words, what in advice.items() if words in reason), reason)


class _AppendListener:
    """Calls `wake` at every notification, and after every connect, because a notification may have been missed.

    Runs PostgreSQL's LISTEN on one connection and one thread.
    """

    def __init__(self, engine: sa.Engine, wake: Callable[[], None]) -> None:
        self._engine, self._wake = engine, wake
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger listener", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; blocks for at most ASK_S."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._listen()
            except sa.exc.DBAPIError as error:
                log.warning("ledger cannot be listened to", error=str(error.orig).strip())
            except self._engine.dialect.loaded_dbapi.Error as error:
                log.warning("connection to the ledger lost", error=str(error).strip())
            self._stopped.wait(RETRY_S)

    def _listen(self) -> None:
        """Listen until the connection breaks or `stop`."""
        fairy = self._engine.raw_connection()
        connection: Any = fairy.driver_connection
        fairy.detach()
        with closing(connection):
            connection.autocommit = True
            connection.execute(f"LISTEN {CHANNEL}")
            self._wake()
            while not self._stopped.is_set():
                for _ in connection.notifies(timeout=ASK_S):
                    self._wake()
