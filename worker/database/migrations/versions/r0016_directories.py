"""The people of directories that are followed, and how far each directory has been read."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, PrimaryKeyConstraint

from worker.database.columns import UtcTime, Words

revision = "0016"
down_revision = "0013"


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "directory_people",
        Column("door", Words, nullable=False),
        Column("person", LargeBinary, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
        Column("active", Boolean, nullable=False),
        Column("gone", Boolean, nullable=False),
        Column("marker", Words, nullable=False),
        Column("ordinal", BigInteger, nullable=False),
        PrimaryKeyConstraint("door", "person"),
    )
    op.create_table(
        "directories",
        Column("door", Words, nullable=False),
        Column("cursor", LargeBinary),
        Column("read_at", UtcTime),
        Column("held_at", UtcTime),
        Column("held_why", Words),
        Column("held_people", LargeBinary),
        Column("released_at", UtcTime),
        PrimaryKeyConstraint("door"),
    )
