"""How the register's tables came to be, one file a step. Alembic runs `env.py`; `engine.register.schema` calls it."""
