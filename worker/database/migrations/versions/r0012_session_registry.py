"""The session registry."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column, LargeBinary, PrimaryKeyConstraint

from worker.database.columns import UtcTime, Words

revision = "0012"
down_revision = "0017"

_IS_ENDING = sa.text("ending_at IS NOT NULL")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "registry_sessions",
        Column("session", Words, nullable=False),
        Column("provider", Words, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
        Column("kid", Words),
        Column("session_id", Words),
        Column("started_at", UtcTime, nullable=False),
        Column("kept_until", UtcTime, nullable=False),
        Column("ending_at", UtcTime),
        PrimaryKeyConstraint("session"),
    )
    op.create_index("registry_sessions_by_id", "registry_sessions", ["session_id"])
    op.create_index("registry_sessions_by_age", "registry_sessions", ["kept_until"])
    op.create_index(
        "registry_sessions_ending",
        "registry_sessions",
        ["ending_at", "session"],
        sqlite_where=_IS_ENDING,
        postgresql_where=_IS_ENDING,
    )
    op.create_table(
        "registry_names",
        Column("name", Words, nullable=False),
        Column("session", Words, nullable=False),
        Column("lookup", Words, nullable=False),
        PrimaryKeyConstraint("name", "session"),
    )
    op.create_index("registry_names_by_session", "registry_names", ["session"])
    op.create_index("registry_names_by_lookup", "registry_names", ["lookup"])
    op.create_table(
        "registry_ends",
        Column("name", Words, nullable=False),
        Column("source", Words, nullable=False),
        Column("ended_at", UtcTime),
        Column("enabled_at", UtcTime),
        Column("kept_until", UtcTime, nullable=False),
        PrimaryKeyConstraint("name", "source"),
    )
    op.create_index("registry_ends_by_age", "registry_ends", ["kept_until"])
