"""Holds for the calls of one source of events alone."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the source a part of the key. SQLite cannot change a key: the table is made anew, what stands is kept."""
    op.execute("CREATE TABLE holds_kept AS SELECT * FROM holds")
    op.drop_table("holds")
    op.create_table(
        "holds",
        sa.Column("provider", WORDS, primary_key=True),
        sa.Column("scope", WORDS, primary_key=True),
        sa.Column("opened_by", WORDS, primary_key=True),
        sa.Column("source", WORDS, primary_key=True),
        sa.Column("owner", WORDS, nullable=False),
        sa.Column("reason", WORDS, nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.Column("strikes", sa.BigInteger, nullable=False),
        sa.Column("turn", sa.BigInteger, nullable=False),
    )
    same = "provider, scope, opened_by, owner, reason, since, until, strikes, turn"
    op.execute(f"INSERT INTO holds (source, {same}) SELECT '', {same} FROM holds_kept")  # noqa: S608 - names of ours
    op.drop_table("holds_kept")
