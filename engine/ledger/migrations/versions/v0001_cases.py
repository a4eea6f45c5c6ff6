"""Cases, and the counter that numbers them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    counter = op.create_table("counter", sa.Column("last_sequence", sa.BigInteger, nullable=False))
    op.bulk_insert(counter, [{"last_sequence": 0}])
    op.create_table(
        "cases",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("case_id", sa.String(255), nullable=False, unique=True),
        sa.Column("recorded_s", sa.Double, nullable=False),
        sa.Column("occurred_s", sa.Double, nullable=False),
        sa.Column("kind", sa.String(63), nullable=False),
        sa.Column("camera", sa.String(63), nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("files", sa.LargeBinary, nullable=False, comment="JSON list of name, media_type, size_bytes, sha256"),
        sa.Column("folder", sa.String(1023), nullable=False),
    )
    op.create_index("cases_by_kind", "cases", ["kind", "sequence"])
    op.create_index("cases_by_camera", "cases", ["camera", "sequence"])
    op.create_index("cases_by_time", "cases", ["occurred_s"])
