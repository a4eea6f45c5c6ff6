"""The schema of the register's database: brought up to date when it is opened, under a lock.

A new table or column is a new file in `migrations/versions`, numbered after the last one, and the same change in the
module that declares the table; `qyran` needs no step of the operator's.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from engine.errors import LedgerError

FIRST = "0001"
"""The schema that had no migrations yet, and called itself version 1."""
LOCK = 0x5179_7261_6E
"""Key of PostgreSQL's advisory lock: "Qyran"."""


def upgrade(connection: sa.Connection, name: str) -> None:
    """Bring the tables to the newest schema, in the connection's transaction, which holds the database's write lock.

    Raises LedgerError for a schema that this program does not know.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
    config = _config(connection)
    _adopt(connection, config, name)
    script = ScriptDirectory.from_config(config)
    known = [revision.revision for revision in script.walk_revisions()]
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise LedgerError(f"{name}: schema {current}, this program knows {known[0]}: install the newer program")
    if current != known[0]:
        command.upgrade(config, "head")


def _config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "engine.ledger:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _adopt(connection: sa.Connection, config: Config, name: str) -> None:
    """Take over a database of before the migrations."""
    if not sa.inspect(connection).has_table("schema_version"):
        return
    version = connection.execute(sa.text("SELECT version FROM schema_version")).scalar_one()
    if version != 1:
        raise LedgerError(f"{name}: schema {version}, this program knows {FIRST}")
    command.stamp(config, FIRST)
    connection.execute(sa.text("DROP TABLE schema_version"))
