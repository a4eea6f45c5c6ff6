"""The schema of the ledger: the migrations make it, the ledger applies them when it is opened."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import engine.app.engine  # noqa: F401 - imports every module that declares a table
from engine.errors import LedgerError
from engine.ledger import SqlLedger, schema
from engine.ledger.tables import metadata
from rig.examples import make_case
from rig.postgres import Server


def heads() -> list[str]:
    return ScriptDirectory.from_config(schema.config()).get_heads()


def test_the_migrations_have_one_head() -> None:
    assert len(heads()) == 1


def test_the_migrations_make_the_declared_tables(tmp_path: Path) -> None:
    with closing(SqlLedger(tmp_path / "ledger.db")) as ledger:
        assert differences(ledger) == []


def test_the_migrations_make_the_declared_tables_on_postgresql(postgres: Server) -> None:
    with closing(SqlLedger(postgres.empty_database())) as ledger:
        assert differences(ledger) == []


def differences(ledger: SqlLedger) -> list[object]:
    with ledger.database.reading() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    SqlLedger(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = dump(path)
    with pytest.raises(LedgerError, match=r"schema 9999, this program knows .* install the newer"):
        SqlLedger(path)
    assert dump(path) == before


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_many_threads_that_open_a_new_ledger_at_once_make_its_tables_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: SqlLedger(path).close(), range(6)))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(heads()[0],)]


@pytest.mark.parametrize("url", ["mysql://u:secret@host/db", "not a url: secret"])
def test_an_unusable_url_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(LedgerError, match=r"ledger\.url") as caught:
        SqlLedger(url)
    assert "secret" not in str(caught.value)


def test_an_unreachable_server_is_named_without_its_secret() -> None:
    with pytest.raises(LedgerError, match=r"postgresql://127\.0\.0\.1:1/cases: cannot open") as caught:
        SqlLedger("postgresql://qyran:secret@127.0.0.1:1/cases?application_name=x")
    assert "secret" not in str(caught.value)


def test_a_sqlite_file_opens_by_its_url_too(tmp_path: Path) -> None:
    with closing(SqlLedger(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        ledger.append([make_case(1)])
        with ledger.database.reading() as connection:
            assert connection.execute(sa.text("SELECT count(*) FROM cases")).scalar_one() == 1
