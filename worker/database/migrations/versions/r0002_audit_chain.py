"""The audit as a chain."""

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint

from worker.database.columns import Words

revision = "0002"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables of the chain. It begins with its first entry, for which a process needs the key."""
    _entries()
    _ends()


def _entries() -> None:
    op.create_table(
        "audit_entries",
        Column("number", BigInteger, nullable=False, autoincrement=False),
        Column("before", Words, nullable=False),
        Column("kind", Words, nullable=False),
        Column("audit_id", Words, nullable=False),
        Column("step", BigInteger, nullable=False),
        Column("at", BigInteger, nullable=False),
        Column("actor", Words, nullable=False),
        Column("action", Words, nullable=False),
        Column("scope", Words, nullable=False),
        Column("reason", Words, nullable=False),
        Column("plan", Words, nullable=False),
        Column("count", BigInteger, nullable=False),
        Column("result", Words, nullable=False),
        Column("mac", Words, nullable=False),
        PrimaryKeyConstraint("number"),
    )
    op.create_index("audit_entries_by_change", "audit_entries", ["audit_id", "step"])
    op.create_index("audit_entries_by_step", "audit_entries", ["step", "number"])


def _ends() -> None:
    op.create_table(
        "audit_ends",
        Column("id", BigInteger, nullable=False, autoincrement=False),
        Column("forgotten", BigInteger, nullable=False),
        Column("last", BigInteger, nullable=False),
        Column("last_mac", Words, nullable=False),
        Column("seal", Words, nullable=False),
        PrimaryKeyConstraint("id"),
    )
