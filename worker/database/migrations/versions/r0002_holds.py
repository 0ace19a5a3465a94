"""Holds: which providers wait, shared by all workers."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create their table."""
    op.create_table(
        "holds",
        sa.Column("provider", WORDS, primary_key=True),
        sa.Column("scope", WORDS, primary_key=True),
        sa.Column("opened_by", WORDS, primary_key=True),
        sa.Column("owner", WORDS, nullable=False),
        sa.Column("reason", WORDS, nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.Column("strikes", sa.BigInteger, nullable=False),
        sa.Column("turn", sa.BigInteger, nullable=False),
    )
