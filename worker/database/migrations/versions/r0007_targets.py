"""What each call hits and whom its event names, as keyed hashes: what decides where a name only finds."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add two columns to the calls and to the dead letters; rows of before have neither."""
    for table in ("calls", "dead_letters"):
        op.add_column(table, sa.Column("target", WORDS))
        op.add_column(table, sa.Column("person", WORDS))
    op.create_index("calls_by_target", "calls", ["target"])
    op.create_index("calls_by_person", "calls", ["person"])
