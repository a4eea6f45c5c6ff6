"""The area of a case; consumers, decisions, tokens and cameras."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("cases", sa.Column("area", sa.String(63), nullable=False, server_default=""))
    op.create_index("cases_by_area", "cases", ["area", "sequence"])
    op.create_table(
        "consumers",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("owner", sa.String(63), nullable=False),
        sa.Column("acknowledged", sa.BigInteger, nullable=False),
        sa.Column("updated_s", sa.Double, nullable=False),
    )
    _decisions()
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("role", sa.String(15), nullable=False),
        sa.Column("scope", sa.LargeBinary, nullable=False, comment="JSON object of kinds, cameras, areas"),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("created_s", sa.Double, nullable=False),
        sa.Column("expires_s", sa.Double),
        sa.Column("revoked_s", sa.Double),
    )
    _cameras()


def _decisions() -> None:
    op.create_table(
        "dispositions",
        sa.Column("number", _NUMBER, primary_key=True),
        sa.Column("report_id", sa.String(255), nullable=False),
        sa.Column("reporter", sa.String(63), nullable=False),
        sa.Column("case_id", sa.String(255), nullable=False),
        sa.Column("ruling", sa.String(31), nullable=False),
        sa.Column("reason", sa.String(1023), nullable=False),
        sa.Column("reference", sa.String(255), nullable=False),
        sa.Column("decided_s", sa.Double, nullable=False),
        sa.Column("recorded_s", sa.Double, nullable=False),
        sa.UniqueConstraint("reporter", "report_id", name="disposition_once"),
    )
    op.create_index("dispositions_by_case", "dispositions", ["case_id"])
    op.create_table(
        "reviews",
        sa.Column("number", _NUMBER, primary_key=True),
        sa.Column("review_id", sa.String(255), nullable=False, unique=True),
        sa.Column("officer", sa.String(63), nullable=False),
        sa.Column("person", sa.String(255), nullable=False),
        sa.Column("case_id", sa.String(255), nullable=False),
        sa.Column("finding", sa.String(31), nullable=False),
        sa.Column("reason", sa.String(1023), nullable=False),
        sa.Column("supersedes", sa.String(255), nullable=False),
        sa.Column("recorded_s", sa.Double, nullable=False),
        sa.UniqueConstraint("case_id", "supersedes", name="review_in_succession"),
    )


def _cameras() -> None:
    op.create_table(
        "camera_versions",
        sa.Column("device", sa.String(255), primary_key=True),
        sa.Column("camera", sa.String(63), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(15), nullable=False),
        sa.Column("settings", sa.LargeBinary, comment="JSON as in the configuration file; null: as there"),
        sa.Column("site", sa.Text, comment="TOML, the text of a site file; null: the configuration's"),
        sa.Column("still", sa.LargeBinary, comment="the calibration's still, an image file; null: none"),
        sa.Column("changed_s", sa.Double, nullable=False),
        sa.Column("changed_by", sa.String(63), nullable=False),
        sa.Column("change", sa.String(31), nullable=False),
    )
