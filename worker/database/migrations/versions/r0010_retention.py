"""What is old is found by its age, what is told of an event by the event, a page of dead letters by its place."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create two indexes, and make two wider."""
    op.create_index("events_by_age", "events", ["received_at"])
    op.create_index("subjects_by_event", "subjects", ["event_id", "source"])
    op.drop_index("dead_letters_by_state", "dead_letters")
    op.create_index("dead_letters_by_state", "dead_letters", ["state", "at", "dead_letter_id"])
    op.drop_index("calls_by_state", "calls")
    op.create_index("calls_by_state", "calls", ["state", "at"])
