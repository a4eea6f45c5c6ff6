"""The database behind the register: SQLite in a file, embedded, or a PostgreSQL server that several nodes share.

SQLite runs in write-ahead mode with `synchronous=FULL`: what a transaction committed survives kill -9 and a power cut
(https://sqlite.org/pragma.html#pragma_synchronous). One process writes at a time, any number read. PostgreSQL is asked
for `synchronous_commit=on`, whatever the server's default; a server that has gone without a word, or a node that hangs
with a lock in its hands, is an error after BUSY_S and not a pipeline that stands still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from engine.errors import LedgerError
from engine.ledger.listener import Listener
from engine.ledger.schema import upgrade

BUSY_S = 10.0
"""How long a writer waits for another one."""
CHANNEL = "qyran_ledger"
"""PostgreSQL's channel on which an append is told (LISTEN, NOTIFY)."""


class Database:
    """The database at `where`: a path for SQLite, else a URL. Made or brought up to date when it is opened.

    All methods are safe from any thread. Raises LedgerError when it is no register, of a newer schema, damaged or
    out of reach; no message shows a password.
    """

    def __init__(self, where: Path | str) -> None:
        url = _url(where)
        self.where = where
        """What it was opened with; may hold a password."""
        self.name = _shown(url)
        self.is_shared = url.get_backend_name() == "postgresql"
        """Other machines may write to it."""
        self._listening = Lock()
        self._listener: Listener | None = None
        with self._errors("open"):
            self._engine = _postgres(url) if self.is_shared else _sqlite(url)
        with self.writing("open") as connection:
            upgrade(connection, self.name)

    @contextmanager
    def reading(self, verb: str = "read") -> Iterator[sa.Connection]:
        """A connection that reads; `verb` is what an error says could not be done. Raises LedgerError."""
        with self._errors(verb), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, verb: str = "write") -> Iterator[sa.Connection]:
        """A transaction that writes: committed at the end, undone where anything is raised. Raises LedgerError.

        On SQLite it holds the write lock from its beginning; on PostgreSQL it reads what is committed (READ COMMITTED).
        """
        with self._errors(verb), self._engine.execution_options(writes=True).begin() as connection:
            yield connection

    def damages(self, connection: sa.Connection) -> Iterator[str]:
        """What SQLite finds wrong with its file; a server looks after its own."""
        if not self.is_shared:
            found = (str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check"))
            yield from (line for line in found if line != "ok")

    def tell(self, connection: sa.Connection) -> None:
        """With this transaction's commit, wake those who `listen`."""
        if self.is_shared:
            connection.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake`, from a thread of its own, whenever another program may have committed; the first caller's only.

        Does nothing on SQLite, where nobody can tell.
        """
        with self._listening:
            if self.is_shared and self._listener is None:
                self._listener = Listener(self._engine, CHANNEL, wake)

    def close(self) -> None:
        """Let the database go."""
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


def _url(where: Path | str) -> sa.URL:
    if isinstance(where, Path):
        return sa.URL.create("sqlite", database=str(where))
    try:
        url = sa.make_url(where)
    except sa.exc.ArgumentError:
        raise LedgerError("ledger.url: is no database URL") from None
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise LedgerError(f"ledger.url: {url.get_backend_name()} is neither sqlite nor postgresql")
    return url.set(drivername="postgresql+psycopg") if url.get_backend_name() == "postgresql" else url


def _shown(url: sa.URL) -> str:
    """What messages call it: without user, password and options."""
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
    """Transactions begin where `_begin_sqlite` says, not where the driver guesses; then SQLite's own settings."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    """A writer takes the lock at the beginning: taking it later fails at once, whatever the time-out."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgres(url: sa.URL) -> sa.Engine:
    try:
        return sa.create_engine(
            url,
            connect_args=_patience(),
            pool_size=8,
            max_overflow=32,
            pool_pre_ping=True,
        )
    except ModuleNotFoundError as error:
        raise LedgerError("ledger.url: PostgreSQL needs `pip install 'qyran[postgres]'`") from error


def _patience() -> dict[str, object]:
    """How long libpq and the server wait (https://www.postgresql.org/docs/current/libpq-connect.html)."""
    busy_ms = int(BUSY_S * 1000)
    return {
        "connect_timeout": max(1, int(BUSY_S)),
        "tcp_user_timeout": busy_ms,
        "keepalives_idle": max(1, int(BUSY_S)),
        "keepalives_interval": max(1, int(BUSY_S / 4)),
        "keepalives_count": 4,
        "options": f"-c synchronous_commit=on -c lock_timeout={busy_ms}",
    }


def _explain(reason: str) -> str:
    """The database's words, with what to do about those that an operator meets."""
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
