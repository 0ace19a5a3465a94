"""Counts of exposures, and in them the calls that were settled in the last days.

The bounds stand here as they were then: a revision is not changed any more.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from alembic import op
from sqlalchemy import BigInteger, Column, Float, PrimaryKeyConstraint, column, select, table

from worker.database.columns import UtcTime, Words

revision = "0005"
down_revision = "0006"

DAYS = 8
SLOT = 300  # seconds
FIRST = 10  # milliseconds
STEPS = (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000  # milliseconds
SETTLED = ("accepted", "confirmed", "already_revoked", "covered", "expired", "superseded", "no_session_known")
KEY = ("slot", "provider", "event_type", "at_most_ms")

Place = tuple[int, str, str, int]


def upgrade() -> None:
    """Create the table, and count what was settled lately."""
    counts = op.create_table(
        "exposures",
        Column("slot", BigInteger, autoincrement=False, nullable=False),
        Column("provider", Words, nullable=False),
        Column("event_type", Words, nullable=False),
        Column("at_most_ms", BigInteger, autoincrement=False, nullable=False),
        Column("calls", BigInteger, nullable=False),
        PrimaryKeyConstraint(*KEY),
        sqlite_with_rowid=False,
    )
    found = Counter(_places()).items()
    op.bulk_insert(counts, [dict(zip(KEY, place, strict=True), calls=number) for place, number in found])


def _places() -> Iterator[Place]:
    """Where each call is counted that was settled lately."""
    bounds = list(_bounds())
    texts = (column(name, Words) for name in ("provider", "event_type", "state"))
    times = (column(name, UtcTime) for name in ("occurred_at", "at"))
    calls = table("calls", *texts, *times, column("exposure_seconds", Float)).c
    is_recent = calls.at >= datetime.now(UTC) - timedelta(days=DAYS)
    asked = select(calls.provider, calls.event_type, calls.occurred_at, calls.exposure_seconds)
    asked = asked.where(calls.state.in_(SETTLED), is_recent, calls.exposure_seconds.is_not(None))
    for provider, event_type, occurred_at, seconds in op.get_bind().execute(asked):
        slot = int((occurred_at.timestamp() + seconds) // SLOT) * SLOT
        yield slot, provider, event_type, bounds[min(bisect_left(bounds, seconds * SECOND), len(bounds) - 1)]


def _bounds() -> Iterator[int]:
    for unit, below in ((1, MINUTE), (MINUTE, HOUR), (HOUR, DAY), (DAY, 1001 * DAY)):
        numbers = (int(unit * 10**power * step) for power in range(5) for step in STEPS)
        yield from (number for number in numbers if FIRST <= number < below)
