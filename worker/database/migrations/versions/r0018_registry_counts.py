"""Sessions of the registry are counted without a look at the rows."""

from alembic import op

revision = "0018"
down_revision = "0012"


def upgrade() -> None:
    """Create the index."""
    op.create_index("registry_sessions_by_provider", "registry_sessions", ["provider"])
