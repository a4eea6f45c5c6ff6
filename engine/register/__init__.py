"""The register: an append-only, numbered, idempotent table of cases; the source of truth of delivery.

`SqlRegister` holds the cases. What stands beside them in the same database (cursors, dispositions, audit ...) declares
its tables on `tables.metadata`, has a step in `migrations/versions` that makes them, and reads and writes through
`SqlRegister.database`.
"""

from engine.register.cameras import CameraChange, CameraVersion, CameraVersions
from engine.register.cases import EVERYTHING, Filter, Notice, SqlRegister
from engine.register.consumers import Consumer, Consumers
from engine.register.database import Database
from engine.register.decisions import Decisions
from engine.register.outbox import Delivery, Outbox, Standing, Wish
from engine.register.retention import Due, Hold, Retention
from engine.register.tokens import Token, Tokens

__all__ = [
    "EVERYTHING",
    "CameraChange",
    "CameraVersion",
    "CameraVersions",
    "Consumer",
    "Consumers",
    "Database",
    "Decisions",
    "Delivery",
    "Due",
    "Filter",
    "Hold",
    "Notice",
    "Outbox",
    "Retention",
    "SqlRegister",
    "Standing",
    "Token",
    "Tokens",
    "Wish",
]
