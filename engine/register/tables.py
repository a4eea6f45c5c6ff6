"""The tables of the register. `migrations` makes them; a test holds the two to each other.

Types are portable between SQLite and PostgreSQL. Times are Unix seconds UTC, columns end in `_s`.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

counter = sa.Table("counter", metadata, sa.Column("last_sequence", sa.BigInteger, nullable=False))
"""One row. Whoever holds its lock commits before the next number is given: order of numbers = order of commits."""

cases = sa.Table(
    "cases",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("case_id", sa.String(255), nullable=False, unique=True),
    sa.Column("recorded_s", sa.Double, nullable=False),
    sa.Column("occurred_s", sa.Double, nullable=False),
    sa.Column("kind", sa.String(63), nullable=False),
    sa.Column("camera", sa.String(63), nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Column("files", sa.LargeBinary, nullable=False, comment="JSON list of name, media_type, size_bytes, sha256"),
    sa.Column("folder", sa.String(1023), nullable=False),
    sa.Index("cases_by_kind", "kind", "sequence"),
    sa.Index("cases_by_camera", "camera", "sequence"),
    sa.Index("cases_by_time", "occurred_s"),
)
