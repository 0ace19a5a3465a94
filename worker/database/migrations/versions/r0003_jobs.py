"""Replays as jobs: what was planned, and how far it got."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Float, PrimaryKeyConstraint

from worker.database.columns import UtcTime, Words

revision = "0003"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables of jobs."""
    _jobs()
    _job_letters()


def _jobs() -> None:
    op.create_table(
        "jobs",
        Column("job_id", Words, nullable=False),
        Column("hash", Words, nullable=False),
        Column("state", Words, nullable=False),
        Column("why", Words, nullable=False),
        Column("runner", Words),
        Column("planned_at", UtcTime, nullable=False),
        Column("at", UtcTime, nullable=False),
        Column("actor", Words, nullable=False),
        Column("action", Words, nullable=False),
        Column("scope", Words, nullable=False),
        Column("reason", Words, nullable=False),
        Column("audit_id", Words, nullable=False),
        Column("rate", Float, nullable=False),
        Column("canary", BigInteger, nullable=False),
        Column("stop_after_failures", BigInteger),
        Column("wait", Float, nullable=False),
        Column("is_judged", Boolean, nullable=False),
        Column("claims", Boolean, nullable=False),
        Column("ends", Words, nullable=False),
        Column("audited", BigInteger, nullable=False),
        PrimaryKeyConstraint("job_id"),
    )
    op.create_index("jobs_by_time", "jobs", ["planned_at"])
    op.create_index("jobs_by_age", "jobs", ["at"])


def _job_letters() -> None:
    op.create_table(
        "job_letters",
        Column("job_id", Words, nullable=False),
        Column("dead_letter_id", Words, nullable=False),
        Column("position", BigInteger, nullable=False),
        Column("provider", Words),
        Column("reason", Words, nullable=False),
        Column("replays", BigInteger, nullable=False),
        Column("state", Words, nullable=False),
        Column("fingerprint", Words, nullable=False),
        Column("fate", Words, nullable=False),
        Column("why", Words, nullable=False),
        PrimaryKeyConstraint("job_id", "dead_letter_id"),
    )
    op.create_index("job_letters_by_fate", "job_letters", ["job_id", "fate", "position"])
