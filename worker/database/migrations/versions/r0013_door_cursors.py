"""Where each look at a door's source begins, and whose turn it is to look."""

from alembic import op
from sqlalchemy import BigInteger, Column, LargeBinary, PrimaryKeyConstraint

from worker.database.columns import UtcTime, Words

revision = "0013"
down_revision = "0011"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "door_cursors",
        Column("door", Words, nullable=False),
        Column("sealed", LargeBinary),
        Column("holder", Words),
        Column("held_until", UtcTime),
        Column("due_at", UtcTime),
        Column("looked_at", UtcTime),
        Column("fault", Words),
        Column("failed_since", UtcTime),
        Column("missed", BigInteger, nullable=False),
        Column("missed_at", UtcTime),
        PrimaryKeyConstraint("door"),
    )
