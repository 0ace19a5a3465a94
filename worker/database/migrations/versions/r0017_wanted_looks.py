"""A push may ask for a look at the source now."""

from alembic import op
from sqlalchemy import Column

from worker.database.columns import UtcTime

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the column."""
    op.add_column("door_cursors", Column("wanted_at", UtcTime))
