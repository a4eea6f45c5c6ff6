"""The register: an append-only, numbered, idempotent table of cases; the source of truth of delivery.

`SqlRegister` holds the cases. What stands beside them in the same database (cursors, dispositions, audit ...) declares
its tables on `tables.metadata`, has a step in `migrations/versions` that makes them, and reads and writes through
`SqlRegister.database`.
"""

from engine.register.cases import EVERYTHING, Filter, SqlRegister
from engine.register.database import Database

__all__ = ["EVERYTHING", "Database", "Filter", "SqlRegister"]
