"""Telling the ledger which sealing keys are in use: once a minute, for a key may be retired when it is not."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from worker.database.errors import LedgerUnavailable
from worker.database.tables import key_uses
from worker.database.writing import insert_into

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.sealing import KeyRing
    from worker.database.engine import Database
    from worker.database.thread import DatabaseThread

logger = logging.getLogger(__name__)

PERIOD: Final = 60.0  # seconds between two messages to the ledger
PATIENCE: Final = 2.0  # seconds for the last one


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
        self._untold: dict[str, datetime] = {}

    async def keep(self) -> None:
        """Tell again and again, until cancelled."""
        while True:
            await asyncio.sleep(PERIOD)
            await self.tell()

    async def tell(self) -> None:
        """Tell of the uses since the last time; where the ledger is away, the next message tells of them too."""
        self._untold |= dict.fromkeys(self._ring.take_used(), datetime.now(UTC))
        told = dict(self._untold)
        with suppress(LedgerUnavailable):  # holds and limits say so
            if told:
                await self._thread.run(lambda database: note_uses(database, told))
            self._untold.clear()

    async def close(self) -> None:
        """Tell the rest, if the ledger listens."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self.tell()
