"""Reports to the ledger which sealing keys are in use, once a minute: a key may be retired when it is not."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from tasks.sealing import KeyRing
from worker.database.engine import Database
from worker.database.errors import LedgerUnavailable
from worker.database.tables import key_uses
from worker.database.thread import DatabaseThread
from worker.database.writing import insert_into

REPORT_INTERVAL: Final = 60.0  # seconds
CLOSE_TIMEOUT: Final = 2.0  # seconds for the last report


def note_uses(database: Database, uses: Mapping[str, datetime]) -> None:
    """Note when keys were last used, by kid; an earlier time than the one on record changes nothing."""
    rows = [{"kid": kid, "last_used": at} for kid, at in sorted(uses.items())]  # alike sorted, no two writers deadlock
    if not rows:
        return
    with database.writing() as connection:
        insert = insert_into(key_uses, connection.dialect.name)
        later = insert.excluded.last_used > key_uses.c.last_used
        kept = {"last_used": insert.excluded.last_used}
        connection.execute(insert.on_conflict_do_update(index_elements=[key_uses.c.kid], set_=kept, where=later), rows)


class KeyUses:
    """What the keys of *ring* opened, on its way to the ledger. A call pays no more for it than an entry in a set."""

    def __init__(self, ring: KeyRing, thread: DatabaseThread) -> None:
        self._ring, self._thread = ring, thread
        self._unreported: dict[str, datetime] = {}

    async def keep(self) -> None:
        """Report again and again, until cancelled."""
        while True:
            await asyncio.sleep(REPORT_INTERVAL)
            await self.report()

    async def report(self) -> None:
        """Report the uses since the last time; where the ledger is away, they go with the next report."""
        self._unreported |= dict.fromkeys(self._ring.take_used(), datetime.now(UTC))
        uses = dict(self._unreported)
        with suppress(LedgerUnavailable):  # logged with the holds and the limits
            if uses:
                await self._thread.run(lambda database: note_uses(database, uses))
            self._unreported.clear()

    async def close(self) -> None:
        """Report the rest, if the ledger answers."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.report()
