"""The holds that all workers share: this process's board, kept in step with the ledger about once a second.

While the ledger is away each process goes on with what it last knew, and with what it finds out for itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from worker.broker.availability import Availability
from worker.calls.holds import store
from worker.calls.holds.hold import Hold, Key, Opener
from worker.calls.holds.registry import Board
from worker.calls.holds.store import Change
from worker.database.errors import LedgerUnavailable
from worker.database.thread import DatabaseThread

logger = logging.getLogger(__name__)

PERIOD: Final = 1.0  # seconds between two looks at the ledger
PATIENCE: Final = 2.0  # seconds a call waits for the ledger's word, at most

_LEVELS: Final = {Opener.BREAKER: logging.ERROR, Opener.PROVIDER: logging.WARNING, Opener.OPERATOR: logging.WARNING}


def utc_now() -> datetime:
    """The time, aware and in UTC."""
    return datetime.now(UTC)


class SharedBoard:
    """A board whose changes reach the others. To be used on one event loop.

    *ended* is told of the providers of which another worker, or an operator, ended a hold.
    """

    def __init__(self, board: Board, thread: DatabaseThread, ended: Callable[[str], None]) -> None:
        self.board = board
        self._thread = thread
        self._ended = ended
        self._changes: dict[Key, Change] = {}  # not yet in the ledger
        self._untold: set[Key] = set()
        self._ledger = Availability(logger, "holds.ledger_away", "holds.ledger_back")
        self._is_stopping = False
        self._wake = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Know what stands; a ledger that is away is not waited for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._step()
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Tell the ledger what it does not know yet, if it listens."""
        self._is_stopping = True
        self._wake.set()
        if self._keeper:
            await asyncio.wait([self._keeper], timeout=PATIENCE)
            self._keeper.cancel()

    def open(self, hold: Hold, wait: float) -> None:
        """Have *hold* stand, here at once and everywhere within about a second; one of all workers tells people."""
        self.board.put(hold, wait)
        self._note(Change(hold))
        self._untold.add(hold.key)

    def alter(self, hold: Hold, wait: float) -> Hold:
        """The next version of *hold*, which ends or may be probed in *wait* seconds."""
        altered = replace(hold, until=utc_now() + timedelta(seconds=wait), turn=hold.turn + 1)
        self.board.put(altered, wait)
        self._note(Change(altered))
        return altered

    def end(self, hold: Hold) -> None:
        """Have it stand no more."""
        self.board.drop(hold.key)
        self._note(Change(hold, is_over=True))
        self._untold.add(hold.key)

    async def claim(self, hold: Hold, lease: float) -> Hold | None:
        """The right to probe *hold* for *lease* seconds, as its next version; None where another worker has it."""
        claimed = replace(hold, until=utc_now() + timedelta(seconds=lease), turn=hold.turn + 1)
        self.board.put(claimed, lease)
        if hold.key in self._changes:  # the ledger is away, or does not know of it yet
            return claimed
        try:
            async with asyncio.timeout(PATIENCE):
                is_ours = await self._thread.run(lambda database: store.claim(database, claimed))
        except (LedgerUnavailable, TimeoutError):
            return claimed
        return claimed if is_ours else None

    async def _keep(self) -> None:
        while not self._is_stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PERIOD):
                    await self._wake.wait()
            self._wake.clear()
            await self._step()

    async def _step(self) -> None:
        sent = dict(self._changes)
        try:
            effect = await self._thread.run(lambda database: store.exchange(database, list(sent.values())))
        except LedgerUnavailable as error:
            self._ledger.lost(error)
            self._tell(sent, {key for key in sent if key in self._untold})
            return
        self._ledger.found()
        self._tell(sent, effect.done)
        self._changes = {key: change for key, change in self._changes.items() if sent.get(key) is not change}
        for provider in self.board.merge(effect.standing, self._changes):
            self._ended(provider)
        self._clear_away(effect.standing)

    def _note(self, change: Change) -> None:
        self._changes[change.hold.key] = change
        self._wake.set()

    def _clear_away(self, standing: list[Hold]) -> None:
        now = utc_now()
        for hold in standing:
            if not hold.is_probed and hold.until <= now and hold.key not in self._changes:
                self._changes[hold.key] = Change(hold, is_over=True)
                self._untold.add(hold.key)

    def _tell(self, sent: dict[Key, Change], done: set[Key]) -> None:
        for key, change in sent.items():
            if key in self._untold and key in done:
                _say(change)
            if self._changes.get(key) is change:
                self._untold.discard(key)


def _say(change: Change) -> None:
    hold = change.hold
    about = {"provider": hold.provider, "reason": hold.reason, "scope": hold.scope.value}
    about["opened_by"] = hold.opened_by.value
    if hold.source:
        about["source"] = hold.source
    if change.is_over:
        logger.warning("provider.released", extra=about)
    else:
        logger.log(_LEVELS[hold.opened_by], "provider.held", extra=about)
