"""What is known of each credential's rate limit: one row each, changed by one worker at a time."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import select, text

from worker.database.tables import limits
from worker.database.upsert import insert_into

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.database.engine import Database

# Of the moment, not of the transaction's start: the row may have been waited for.
_NOW: Final = {
    "sqlite": text("SELECT (julianday('now') - 2440587.5) * 86400.0"),
    "postgresql": text("SELECT extract(epoch FROM clock_timestamp())::float8"),
}


@dataclass(slots=True)
class Locked:
    """One credential's record, which no other worker changes meanwhile."""

    record: str  # "" at first
    now: float  # seconds since 1970, by the database's clock


@contextmanager
def locked(database: Database, fingerprint: str) -> Iterator[Locked]:
    """Lock and load the record of *fingerprint*; what it is at the end is saved. Raises LedgerUnavailable."""
    with database.writing() as connection:
        row = select(limits.c.record).where(limits.c.fingerprint == fingerprint).with_for_update()
        kept = connection.execute(row).scalar()
        if kept is None:
            made = insert_into(limits, connection.dialect.name).on_conflict_do_nothing()
            connection.execute(made, {"fingerprint": fingerprint, "record": ""})
            kept = connection.execute(row).scalar_one()
        one = Locked(kept, connection.execute(_NOW[connection.dialect.name]).scalar_one())
        yield one
        connection.execute(limits.update().where(limits.c.fingerprint == fingerprint).values(record=one.record))
