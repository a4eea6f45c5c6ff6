"""The register: an append-only, numbered, idempotent table of cases; the source of truth of delivery.

`SqlLedger` holds the cases. What stands beside them in the same database (cursors, dispositions, audit ...) declares
its tables on `tables.metadata`, has a step in `migrations/versions` that makes them, and reads and writes through
`SqlLedger.database`.
"""

from engine.ledger.cameras import CameraChange, CameraState, CameraVersion, CameraVersions
from engine.ledger.cases import EVERYTHING, EntrySummary, Filter, SqlLedger
from engine.ledger.consumers import Consumer, Consumers
from engine.ledger.database import Database
from engine.ledger.decisions import Decisions
from engine.ledger.outbox import Delivery, DeliveryStatus, Outbox, Selection
from engine.ledger.retention import Due, Hold, Retention
from engine.ledger.tokens import Token, Tokens

__all__ = [
    "EVERYTHING",
    "CameraChange",
    "CameraState",
    "CameraVersion",
    "CameraVersions",
    "Consumer",
    "Consumers",
    "Database",
    "Decisions",
    "Delivery",
    "DeliveryStatus",
    "Due",
    "EntrySummary",
    "Filter",
    "Hold",
    "Outbox",
    "Retention",
    "Selection",
    "SqlLedger",
    "Token",
    "Tokens",
]
