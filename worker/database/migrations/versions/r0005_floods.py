"""Whom the blast-radius guard let through lately, and the floods it holds back."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create their tables."""
    op.create_table(
        "passed",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("source", WORDS, nullable=False),
        sa.Column("event_type", WORDS, nullable=False),
        sa.Column("hash", WORDS, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "floods",
        sa.Column("source", WORDS, primary_key=True),
        sa.Column("event_type", WORDS, primary_key=True),
        sa.Column("opened_at", sa.Float, nullable=False),
        sa.Column("reserve_at", sa.Float, nullable=False),
    )
