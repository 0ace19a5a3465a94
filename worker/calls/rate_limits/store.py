"""What is known of each credential's rate limit: one row each, changed by one worker at a time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import select, text

from worker.calls.rate_limits.window import Ages, Ask, Grant, Limit, Record, lease
from worker.database.engine import Database
from worker.database.tables import limits
from worker.database.thread import DatabaseThread
from worker.database.writing import insert_into

# Of the moment, not of the transaction's start: the row may have been waited for.
_NOW: Final = {
    "sqlite": text("SELECT (julianday('now') - 2440587.5) * 86400.0"),
    "postgresql": text("SELECT extract(epoch FROM clock_timestamp())::float8"),
}


@dataclass(slots=True)
class LockedRecord:
    """One credential's record, which no other worker changes meanwhile."""

    record: str  # "" at first
    now: float  # seconds since 1970, by the database's clock


@contextmanager
def locked(database: Database, fingerprint: str) -> Iterator[LockedRecord]:
    """Lock and load the record of *fingerprint*; what it is at the end is saved. Raises LedgerUnavailable."""
    with database.writing() as connection:
        row = select(limits.c.record).where(limits.c.fingerprint == fingerprint).with_for_update()
        kept = connection.execute(row).scalar()
        if kept is None:
            made = insert_into(limits, connection.dialect.name).on_conflict_do_nothing()
            connection.execute(made, {"fingerprint": fingerprint, "record": ""})
            kept = connection.execute(row).scalar_one()
        one = LockedRecord(kept, connection.execute(_NOW[connection.dialect.name]).scalar_one())
        yield one
        connection.execute(limits.update().where(limits.c.fingerprint == fingerprint).values(record=one.record))


class PermitLease:
    """Leases one credential's permits in the database, off the event loop."""

    def __init__(self, thread: DatabaseThread, fingerprint: str, limit: Limit) -> None:
        self._thread, self._fingerprint, self._limit = thread, fingerprint, limit
        self._ages = Ages()

    async def __call__(self, ask: Ask) -> Grant:
        """Return what *ask* gets. Raises LedgerUnavailable."""
        return await self._thread.run(partial(self._lease, ask))

    def _lease(self, ask: Ask, database: Database) -> Grant:
        with locked(database, self._fingerprint) as kept:
            moment = time.monotonic()
            known = self._ages.known(Record.load(kept.record), kept.now, moment)
            record, grant = lease(self._limit, known, ask, kept.now)
            kept.record = record.dump()
        self._ages.remember(record, moment)  # not before it is committed
        return grant
