"""The ledger: Qyran's own append-only, numbered, idempotent record of cases; the source of truth of delivery.

A *register* is the authority outside, never this record. `SqlLedger` holds the cases. A module that stores something
beside them (cursors, decisions, tokens ...) declares its tables on `tables.metadata`, has a step in
`migrations/versions` that makes them, and reads and writes through `SqlLedger.database`.
"""

from engine.ledger.cameras import CameraChange, CameraRecord, CameraState, CameraVersion, CameraVersions
from engine.ledger.cases import EVERYTHING, Filter, SerializedEntry, SqlLedger
from engine.ledger.consumers import Consumer, Consumers
from engine.ledger.database import Database
from engine.ledger.decisions import Decisions
from engine.ledger.outbox import Delivery, DeliveryState, DeliveryStatus, Outbox, Selection
from engine.ledger.retention import Due, Hold, Retention
from engine.ledger.tokens import Token, Tokens

__all__ = [
    "EVERYTHING", "CameraChange", "CameraRecord", "CameraState", "CameraVersion", "CameraVersions", "Consumer",
    "Consumers", "Database", "Decisions", "Delivery", "DeliveryState", "DeliveryStatus", "Due", "Filter", "Hold",
    "Outbox", "Retention", "Selection", "SerializedEntry", "SqlLedger", "Token", "Tokens",
]  # fmt: skip
