"""What watchers get of a case, serialised once; of the cases that are there already it is made when they are read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("cases", sa.Column("summary", sa.LargeBinary))
    op.add_column("cases", sa.Column("summary_form", sa.SmallInteger))
