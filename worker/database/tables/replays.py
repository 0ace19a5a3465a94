"""The tables of replays as jobs."""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Table

from worker.database.columns import UtcTime, Words
from worker.database.tables.base import metadata

# A replay as somebody planned and read it. Whoever runs it may end at any moment: what is here is enough to go on.
jobs: Final = Table(
    "jobs",
    metadata,
    Column("job_id", Words, primary_key=True),
    Column("hash", Words, nullable=False),  # of the plan, in hex digits; empty while it is made
    Column("state", Words, nullable=False),
    Column("why", Words, nullable=False),  # it stands still; empty where it does not
    Column("runner", Words),  # the process that has it; None: nobody is at it
    Column("planned_at", UtcTime, nullable=False),
    Column("at", UtcTime, nullable=False),  # the last sign of life of its runner, or the last change by an operator
    Column("actor", Words, nullable=False),
    Column("action", Words, nullable=False),
    Column("scope", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("audit_id", Words, nullable=False),
    Column("rate", Float, nullable=False),  # dead letters per second
    Column("canary", BigInteger, nullable=False),
    Column("stop_after_failures", BigInteger),
    Column("wait", Float, nullable=False),  # seconds
    Column("is_judged", Boolean, nullable=False),  # whether each is judged again before it goes
    Column("claims", Boolean, nullable=False),  # whether what nobody vouches for goes as a claim
    Column("ends", Words, nullable=False),  # JSON: source and type of each flood that ends when it begins
    Column("audited", BigInteger, nullable=False),  # how many replayed ones the audit tells of
    Index("jobs_by_time", "planned_at"),
    Index("jobs_by_age", "at"),
)

job_letters: Final = Table(
    "job_letters",
    metadata,
    Column("job_id", Words, primary_key=True),
    Column("dead_letter_id", Words, primary_key=True),
    Column("position", BigInteger, nullable=False),  # from 0, in the order of the plan
    Column("provider", Words),
    Column("reason", Words, nullable=False),  # of its death
    Column("replays", BigInteger, nullable=False),  # the generation that was planned
    Column("state", Words, nullable=False),  # of the dead letter, when it was planned
    Column("fingerprint", Words, nullable=False),  # of the dead letter as it was planned
    Column("fate", Words, nullable=False),
    Column("why", Words, nullable=False),  # it was refused, left out or not published
    Index("job_letters_by_fate", "job_id", "fate", "position"),
)
