"""What arrived stands once, apart from the dead letters that were made of it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# A body is a member of the letter's own: in a text within it the quotes would be escaped.
REPLAYABLE = """UPDATE dead_letters SET is_replayable = TRUE WHERE call_id IS NOT NULL OR document LIKE '%"body":"%'"""


def upgrade() -> None:
    """Create a table, and add three columns; letters of before keep what arrived in their documents."""
    op.create_table(
        "bodies",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("document", WORDS, nullable=False),
    )
    op.add_column("dead_letters", sa.Column("body", sa.LargeBinary))
    op.add_column("dead_letters", sa.Column("is_replayable", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("dead_letters", sa.Column("unproved", sa.BigInteger))
    op.execute(REPLAYABLE)
    op.create_index("dead_letters_by_body", "dead_letters", ["body"])
    op.create_index("dead_letters_unproved", "dead_letters", ["unproved", "state"])
