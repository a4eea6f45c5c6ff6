"""The steps that make the tables, one file each. `engine.ledger.schema` starts Alembic, which runs `env.py`."""
