"""The tables around a case. `migrations` makes them; a test compares the two.

Types are portable between SQLite and PostgreSQL. Times are Unix seconds UTC, in columns that end in `_s`.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

counter = sa.Table("counter", metadata, sa.Column("last_sequence", sa.BigInteger, nullable=False))
"""One row. The holder of its lock commits before the next number is given: order of numbers = order of commits."""

cases = sa.Table(
    "cases",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("case_id", sa.String(255), nullable=False, unique=True),
    sa.Column("recorded_s", sa.Double, nullable=False),
    sa.Column("occurred_s", sa.Double, nullable=False),
    sa.Column("kind", sa.String(63), nullable=False),
    sa.Column("camera", sa.String(63), nullable=False),
    sa.Column("area", sa.String(63), nullable=False),
    sa.Column("outcome", sa.String(31), nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Column("summary", sa.LargeBinary, nullable=False),
    sa.Column("files", sa.LargeBinary, nullable=False, comment="JSON list of name, media_type, size_bytes, sha256"),
    sa.Column("folder", sa.String(1023), nullable=False),
    sa.Column("removed_s", sa.Double),
    sa.Column("removed_why", sa.Text),
    sa.Index("cases_by_kind", "kind", "sequence"),
    sa.Index("cases_by_camera", "camera", "sequence"),
    sa.Index("cases_by_area", "area", "sequence"),
    sa.Index("cases_by_time", "occurred_s", "sequence"),
)
"""A row is never deleted. Retention leaves the number, the id and the hashes of the files; `removed_s` and
`removed_why` say when and by which rule, `document` and `summary` are empty, and so is `folder` once the files are
gone. `outcome` is the one that the document proposes; `summary` is the case's message without its document, serialized
at the append (`wire.summarise`): a release that changes it brings a migration that makes it anew."""

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("recipient", sa.String(63), primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("case_id", sa.String(255), nullable=False),
    sa.Column("kind", sa.String(63), nullable=False),
    sa.Column("recorded_s", sa.Double, nullable=False),
    sa.Column("rank", sa.Integer, nullable=False),
    sa.Column("state", sa.String(15), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_s", sa.Double, nullable=False),
    sa.Column("changed_s", sa.Double, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Index("deliveries_by_rank", "recipient", "state", "rank", "sequence"),
    sa.Index("deliveries_by_sequence", "recipient", "state", "sequence"),
)
"""One case for one recipient. `state`: `outbox.DeliveryState`; `detail`: receipt, reason, or the last error."""

recipients = sa.Table(
    "recipients",
    metadata,
    sa.Column("name", sa.String(63), primary_key=True),
    sa.Column("enrolled", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("until_s", sa.Double, nullable=False),
)
"""`enrolled`: the last sequence that was enrolled. Only `owner` delivers to the recipient, until `until_s`."""

holds = sa.Table(
    "holds",
    metadata,
    sa.Column("hold_id", sa.Integer, primary_key=True),
    sa.Column("case_id", sa.String(255), nullable=False, index=True),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("placed_s", sa.Double, nullable=False),
    sa.Column("placed_by", sa.String(255), nullable=False),
    sa.Column("released_s", sa.Double),
    sa.Column("released_by", sa.String(255)),
)
"""What retention must not remove. Released holds stay as a record."""
