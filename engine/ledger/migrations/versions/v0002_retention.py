"""Retention: what was removed and why, what may not be, and the outcome that its rules go by.

The index of times carries the sequences: a page of a time is cheap.
"""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

PAGE = 500


def upgrade() -> None:
    op.add_column("cases", sa.Column("outcome", sa.String(31), nullable=False, server_default=""))
    op.add_column("cases", sa.Column("removed_s", sa.Double))
    op.add_column("cases", sa.Column("removed_why", sa.Text))
    op.create_table(
        "holds",
        sa.Column("hold_id", sa.Integer, primary_key=True),
        sa.Column("case_id", sa.String(255), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("placed_s", sa.Double, nullable=False),
        sa.Column("placed_by", sa.String(255), nullable=False),
        sa.Column("released_s", sa.Double),
        sa.Column("released_by", sa.String(255)),
    )
    op.create_index("ix_holds_case_id", "holds", ["case_id"])
    op.drop_index("cases_by_time", "cases")
    op.create_index("cases_by_time", "cases", ["occurred_s", "sequence"])
    _fill_outcomes(op.get_bind())


def _fill_outcomes(connection: sa.Connection) -> None:
    """From the documents, page by page; what cannot be read stays empty."""
    cases = sa.table("cases", sa.column("sequence"), sa.column("document"), sa.column("outcome"))
    page = sa.select(cases.c.sequence, cases.c.document).order_by(cases.c.sequence).limit(PAGE)
    fill = sa.update(cases).where(cases.c.sequence == sa.bindparam("number")).values(outcome=sa.bindparam("found"))
    last = 0
    while rows := connection.execute(page.where(cases.c.sequence > last)).all():
        connection.execute(fill, [{"number": row.sequence, "found": _outcome(row.document)} for row in rows])
        last = rows[-1].sequence


class _Told(msgspec.Struct):
    outcome: str = ""


def _outcome(document: bytes) -> str:
    try:
        return msgspec.json.decode(document, type=_Told).outcome
    except msgspec.DecodeError:
        return ""
