"""An index of the users who were enabled again, whom every worker follows."""

from alembic import op
from sqlalchemy import text

revision = "0006"
down_revision = "0007"


def upgrade() -> None:
    """Add the index; it holds their rows alone, so that no other call pays for it."""
    only = text("state = 'enabled'")
    op.create_index("calls_enabled", "calls", ["state", "change"], sqlite_where=only, postgresql_where=only)
