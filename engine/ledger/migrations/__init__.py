"""How the register's tables came to be, one file a step. Alembic runs `env.py`; `engine.ledger.schema` calls it."""
