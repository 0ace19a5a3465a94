"""The outbox of the doors, and what their process tells of them."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, PrimaryKeyConstraint

from worker.database.columns import UtcTime, Words

revision = "0009"
down_revision = "0002"


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "outbox",
        Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
        Column("door", Words, nullable=False),
        Column("digest", LargeBinary, nullable=False),
        Column("event_type", Words, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
        Column("at", UtcTime, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("outbox_by_digest", "outbox", ["digest"], unique=True)
    op.create_table(
        "door_news",
        Column("door", Words, nullable=False),
        Column("event_at", UtcTime),
        Column("keys_at", UtcTime),
        PrimaryKeyConstraint("door"),
    )
