"""The first schema. Until a second revision exists, it is what `tables.py` declares."""

from alembic import op

from worker.database.tables import clock, metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table, and set the clock to 0. A second revision writes these tables out here, as released."""
    metadata.create_all(op.get_bind())
    op.bulk_insert(clock, [{"id": 1, "value": 0}])
