"""Telling the ledger which sealing keys are in use: once a minute, for a key may be retired when it is not."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from worker.ledger import LedgerUnavailable

if TYPE_CHECKING:
    from tasks.sealing import KeyRing
    from worker.ledger.desk import Desk

logger = logging.getLogger(__name__)

PERIOD: Final = 60.0  # seconds between two messages to the ledger
PATIENCE: Final = 2.0  # seconds for the last one


class KeyUses:
    """What the keys of *ring* opened, on its way to the ledger. A call pays no more for it than an entry in a set."""

    def __init__(self, ring: KeyRing, desk: Desk) -> None:
        self._ring, self._desk = ring, desk
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
                await self._desk.ask(lambda ledger: ledger.note_key_uses(told))
            self._untold.clear()

    async def close(self) -> None:
        """Tell the rest, if the ledger listens."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self.tell()
