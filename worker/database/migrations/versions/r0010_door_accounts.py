"""The accounts of doors that keep some."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, PrimaryKeyConstraint

from worker.database.columns import UtcTime, Words

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "door_accounts",
        Column("door", Words, nullable=False),
        Column("account_id", Words, nullable=False),
        Column("name", LargeBinary, nullable=False),
        Column("known_as", LargeBinary),
        Column("sealed", LargeBinary, nullable=False),
        Column("active", Boolean, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("created", UtcTime, nullable=False),
        Column("changed", UtcTime, nullable=False),
        PrimaryKeyConstraint("door", "account_id"),
    )
    op.create_index("door_accounts_by_name", "door_accounts", ["door", "name"], unique=True)
    op.create_index("door_accounts_by_known_as", "door_accounts", ["door", "known_as"])
    op.create_index("door_accounts_by_age", "door_accounts", ["door", "created", "account_id"])
