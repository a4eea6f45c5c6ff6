"""Every table of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _create_cases()
    _create_decisions()
    _create_deliveries()
    op.create_table(
        "consumers",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("owner", sa.String(63), nullable=False),
        sa.Column("acknowledged", sa.BigInteger, nullable=False),
        sa.Column("updated_s", sa.Double, nullable=False),
    )
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
    op.create_table(
        "camera_versions",
        sa.Column("device", sa.String(255), primary_key=True),
        sa.Column("camera", sa.String(63), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(15), nullable=False),
        sa.Column("settings", sa.LargeBinary, comment="JSON; null: as in the configuration file"),
        sa.Column("site", sa.Text, comment="text of a site file; null: the file that the configuration names"),
        sa.Column("still", sa.LargeBinary, comment="image file of the calibration; null: no image"),
        sa.Column("changed_s", sa.Double, nullable=False),
        sa.Column("changed_by", sa.String(63), nullable=False),
        sa.Column("change", sa.String(31), nullable=False),
    )


def _create_cases() -> None:
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
        sa.Column("area", sa.String(63), nullable=False),
        sa.Column("outcome", sa.String(31), nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("summary", sa.LargeBinary, nullable=False),
        sa.Column("files", sa.LargeBinary, nullable=False, comment="JSON list of name, media_type, size_bytes, sha256"),
        sa.Column("folder", sa.String(1023), nullable=False),
        sa.Column("removed_s", sa.Double),
        sa.Column("removed_why", sa.Text),
    )
    op.create_index("cases_by_kind", "cases", ["kind", "sequence"])
    op.create_index("cases_by_camera", "cases", ["camera", "sequence"])
    op.create_index("cases_by_area", "cases", ["area", "sequence"])
    op.create_index("cases_by_time", "cases", ["occurred_s", "sequence"])
    op.create_table(
        "holds",
        sa.Column("hold_id", sa.Integer, primary_key=True),
        sa.Column("case_id", sa.String(255), nullable=False, index=True),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("placed_s", sa.Double, nullable=False),
        sa.Column("placed_by", sa.String(255), nullable=False),
        sa.Column("released_s", sa.Double),
        sa.Column("released_by", sa.String(255)),
    )


def _create_decisions() -> None:
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


def _create_deliveries() -> None:
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
