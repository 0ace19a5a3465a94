"""The way from a limiter to the database: off the loop, and with an eye on the database's clock."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from worker.calls.rate_limits import store
from worker.calls.rate_limits.steadiness import Sight
from worker.calls.rate_limits.window import Ask, Grant, Limit, Record, lease

if TYPE_CHECKING:
    from worker.database.engine import Database
    from worker.database.thread import DatabaseThread


class Leasing:
    """Leases one credential's permits in the database."""

    def __init__(self, thread: DatabaseThread, fingerprint: str, limit: Limit) -> None:
        self._thread, self._fingerprint, self._limit = thread, fingerprint, limit
        self._sight: Sight | None = None
        self._era: int | None = None

    async def __call__(self, ask: Ask) -> Grant:
        """Return what *ask* gets. Raises LedgerUnavailable."""
        return await self._thread.run(partial(self._lease, ask))

    def _lease(self, ask: Ask, database: Database) -> Grant:
        before = time.monotonic()
        with store.locked(database, self._fingerprint) as kept:
            sight = Sight.of(before, kept.now, time.monotonic())
            steady = self._sight is None or self._sight.agrees(sight)
            wanted = replace(ask, steady=steady, era=self._era)
            record, grant = lease(self._limit, Record.load(kept.record), wanted, kept.now)
            kept.record = record.dump()
        self._sight = self._sight.sharpened(sight) if self._sight else sight  # not before it is committed
        self._era = grant.era
        return grant
