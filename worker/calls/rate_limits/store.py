"""What is known of each credential's rate limit: one row each, changed by one worker at a time."""

import time
from functools import partial
from typing import Final

from sqlalchemy import Connection, select, text

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


class PermitLease:
    """Leases one credential's permits in the database, off the event loop."""

    def __init__(self, thread: DatabaseThread, fingerprint: str, limit: Limit) -> None:
        self._thread, self._fingerprint, self._limit = thread, fingerprint, limit
        self._ages = Ages()

    async def __call__(self, ask: Ask) -> Grant:
        """Return what *ask* gets. Raises LedgerUnavailable."""
        return await self._thread.run(partial(self._lease, ask))

    def _lease(self, ask: Ask, database: Database) -> Grant:
        with database.writing() as connection:
            kept = Record.load(locked(connection, self._fingerprint))
            now, moment = connection.execute(_NOW[connection.dialect.name]).scalar_one(), time.monotonic()
            record, grant = lease(self._limit, self._ages.known(kept, now, moment), ask, now)
            changed = limits.update().where(limits.c.fingerprint == self._fingerprint)
            connection.execute(changed.values(record=record.dump()))
        self._ages.remember(record, moment)  # not before it is committed
        return grant


def locked(connection: Connection, fingerprint: str) -> str:
    """Return the record of *fingerprint*, "" at first. No other worker changes it before the end of the transaction."""
    row = select(limits.c.record).where(limits.c.fingerprint == fingerprint).with_for_update()
    kept = connection.execute(row).scalar()
    if kept is None:
        made = insert_into(limits, connection.dialect.name).on_conflict_do_nothing()
        connection.execute(made, {"fingerprint": fingerprint, "record": ""})
        kept = connection.execute(row).scalar_one()
    return str(kept)
