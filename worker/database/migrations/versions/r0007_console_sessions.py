"""Who is signed in at the console."""

from alembic import op
from sqlalchemy import BigInteger, Column, LargeBinary, PrimaryKeyConstraint

from worker.database.columns import UtcTime, Words

revision = "0007"
down_revision = "0008"


def upgrade() -> None:
    """Create the table of sessions."""
    op.create_table(
        "console_sessions",
        Column("digest", LargeBinary, nullable=False),
        Column("session_id", Words, nullable=False),
        Column("name", Words, nullable=False),
        Column("role", Words, nullable=False),
        Column("means", Words, nullable=False),
        Column("address", Words, nullable=False),
        Column("known_as", Words, nullable=False),
        Column("idp_subject", Words),
        Column("idp_session", Words),
        Column("created", UtcTime, nullable=False),
        Column("seen", UtcTime, nullable=False),
        Column("change", BigInteger, nullable=False),
        PrimaryKeyConstraint("digest"),
    )
