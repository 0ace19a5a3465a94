"""The signals of a stream of ours, until its receiver has polled them."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary

from worker.database.columns import UtcTime, Words

revision = "0015"
down_revision = "0018"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "door_signals",
        Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
        Column("door", Words, nullable=False),
        Column("jti", Words, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
        Column("at", UtcTime, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("door_signals_by_jti", "door_signals", ["door", "jti"], unique=True)
    op.create_index("door_signals_in_order", "door_signals", ["door", "number"])
