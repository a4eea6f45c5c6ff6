"""The schema of the ledger's database: brought up to date under a lock when the database is opened.

A new table or column is a new file in `migrations/versions`, numbered after the last one, and the same change in the
module that declares the table. The operator has no step to run.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from engine.errors import LedgerError

LOCK = 0x5179_7261_6E
"""Key of PostgreSQL's advisory lock: "Qyran"."""


def config(connection: sa.Connection | None = None) -> Config:
    """Alembic's configuration, for the steps of this package."""
    config = Config()
    config.set_main_option("script_location", "engine.ledger:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: sa.Connection, name: str) -> None:
    """Bring the tables to the newest schema, in the transaction of `connection`, which holds the write lock.

    Raises LedgerError for a schema that this program does not know; `name` is what the message calls the database.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
    script = ScriptDirectory.from_config(config())
    known = [revision.revision for revision in script.walk_revisions()]
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise LedgerError(f"{name}: schema {current}, this program knows {known[0]}: install the newer program")
    if current != known[0]:
        command.upgrade(config(connection), "head")
