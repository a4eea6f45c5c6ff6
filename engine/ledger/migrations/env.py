"""Run the steps on the connection of `engine.ledger.schema`, in its transaction."""

from alembic import context

from engine.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transaction_per_migration=False
)
with context.begin_transaction():
    context.run_migrations()
