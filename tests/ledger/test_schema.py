"""The register's schema: made by steps, brought up to date when it is opened."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import engine.app.engine  # noqa: F401 - whoever declares a table is imported by it
from engine.errors import LedgerError
from engine.ledger import SqlLedger
from engine.ledger.tables import metadata
from engine.types import EvidenceFile, document
from rig.examples import make_case
from rig.postgres import Server

SCHEMA_1 = Path(__file__).parents[1] / "data" / "register_schema_1.sql"
"""`sqlite3.Connection.iterdump` of a register with three cases, as the program before the migrations wrote it."""


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA_1.read_text())
    yield path


def heads() -> list[str]:
    config = Config()
    config.set_main_option("script_location", "engine.ledger:migrations")
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config).get_heads()


def test_the_steps_are_one_line_of_succession() -> None:
    assert len(heads()) == 1


def test_the_steps_make_the_tables_that_the_program_declares(tmp_path: Path) -> None:
    with closing(SqlLedger(tmp_path / "ledger.db")) as ledger:
        assert differences(ledger) == []


def test_they_make_the_same_on_postgresql(postgres: Server) -> None:
    with closing(SqlLedger(postgres.empty_database())) as ledger:
        assert differences(ledger) == []


def differences(ledger: SqlLedger) -> list[object]:
    with ledger.database.reading() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))


def test_a_ledger_of_schema_1_is_brought_up_to_date_with_everything_in_it(old: Path) -> None:
    with closing(SqlLedger(old)) as ledger:
        entries = ledger.read(0, 10)
        assert [(entry.sequence, entry.recorded_s) for entry in entries] == [(n, 1780000100.5) for n in (1, 2, 3)]
        assert [(e.case.id, e.case.camera, e.case.kind) for e in entries] == [
            ("gate-000001", "gate", "speeding"), ("gate-000002", "b", "wrong_way"), ("gate-000003", "gate", "speeding"),
        ]  # fmt: skip
        assert entries[0].case.files == (EvidenceFile("overview.jpg", "image/jpeg", 3, "ab" * 32),)
        assert document.decode(entries[1].case.document, source="old").id == "gate-000002"
        assert ledger.append([entries[2].case, make_case(4)])[0].sequence == 4
        assert ledger.check() == []
    with closing(SqlLedger(old)) as again, again.database.reading() as connection:
        assert differences(again) == []
        outcomes = connection.execute(sa.text("SELECT outcome FROM cases")).scalars().all()
    assert outcomes == ["fine"] * 4


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("UPDATE schema_version SET version = 2", "schema 2, this program knows"),
        ("UPDATE alembic_version SET version_num = '9999'", "schema 9999, this program knows .* install the newer"),
    ],
)
def test_a_schema_that_is_not_known_is_refused_and_left_alone(old: Path, statement: str, complaint: str) -> None:
    if "alembic" in statement:
        SqlLedger(old).close()
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute(statement)
    before = dump(old)
    with pytest.raises(LedgerError, match=complaint):
        SqlLedger(old)
    assert dump(old) == before


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_many_that_open_at_once_bring_it_up_to_date_once(old: Path) -> None:
    failures: list[Exception] = []

    def open_it() -> None:
        try:
            SqlLedger(old).close()
        except Exception as error:  # noqa: BLE001 - told by the assertion
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(heads()[0],)]


@pytest.mark.parametrize("url", ["mysql://u:secret@host/db", "not a url: secret"])
def test_a_url_that_is_no_ledger_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(LedgerError, match=r"ledger\.url") as caught:
        SqlLedger(url)
    assert "secret" not in str(caught.value)


def test_a_server_out_of_reach_is_named_without_its_secret() -> None:
    with pytest.raises(LedgerError, match=r"postgresql://127\.0\.0\.1:1/cases: cannot open") as caught:
        SqlLedger("postgresql://qyran:secret@127.0.0.1:1/cases?application_name=x")
    assert "secret" not in str(caught.value)


def test_the_database_is_used_by_its_url_too(tmp_path: Path) -> None:
    with closing(SqlLedger(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        ledger.append([make_case(1)])
        with ledger.database.reading() as connection:
            assert connection.execute(sa.text("SELECT count(*) FROM cases")).scalar_one() == 1
