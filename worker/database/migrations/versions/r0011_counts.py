"""Counts of dead letters, and what is exposed of them, without a look at the rows; letters of no call by themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_IS_DEAD = sa.text("state = 'dead'")
_NO_CALL = sa.text("kind != 'call'")


def upgrade() -> None:
    """Create the indexes."""
    op.create_index("dead_letters_by_provider", "dead_letters", ["state", "provider", "reason", "at", "cause"])
    _partial("dead_letters_of_no_call", "dead_letters", ["change"], _NO_CALL)
    _partial("calls_dead", "calls", ["state", "provider", "event_type", "occurred_at"], _IS_DEAD)


def _partial(name: str, table: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
