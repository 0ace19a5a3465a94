"""Which sealing key each call needs, and when each key was last used."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add a column to the calls, and create a table."""
    op.add_column("calls", sa.Column("kid", WORDS))
    op.create_table(
        "key_uses",
        sa.Column("kid", WORDS, primary_key=True),
        sa.Column("last_used", TIME, nullable=False),
    )
