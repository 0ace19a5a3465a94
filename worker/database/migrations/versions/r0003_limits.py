"""What each credential has used of its rate limit."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "limits",
        sa.Column("fingerprint", WORDS, primary_key=True),
        sa.Column("record", WORDS, nullable=False),
    )
