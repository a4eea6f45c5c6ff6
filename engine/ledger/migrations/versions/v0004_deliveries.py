"""Recipients, and what each of them has got."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "deliveries",
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
    )
    op.create_index("deliveries_by_rank", "deliveries", ["recipient", "state", "rank", "sequence"])
    op.create_index("deliveries_by_sequence", "deliveries", ["recipient", "state", "sequence"])
    op.create_table(
        "recipients",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("enrolled", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("until_s", sa.Double, nullable=False),
    )
