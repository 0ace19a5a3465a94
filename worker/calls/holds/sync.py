"""The holds that all workers share: this process's registry, kept in step with the ledger about once a second.

While the ledger is away each process goes on with what it last knew, and with what it finds out for itself.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from worker.broker.availability import Availability
from worker.calls.holds import store
from worker.calls.holds.hold import Hold, Key, OpenedBy
from worker.calls.holds.registry import HoldRegistry
from worker.calls.holds.store import HoldChange
from worker.database.errors import LedgerUnavailable
from worker.database.thread import DatabaseThread

logger = logging.getLogger(__name__)

SYNC_INTERVAL: Final = 1.0  # seconds between two looks at the ledger
LEDGER_TIMEOUT: Final = 2.0  # seconds that a call, a start or a stop waits for the ledger, at most


def utc_now() -> datetime:
    """The time, aware and in UTC."""
    return datetime.now(UTC)


class HoldSync:
    """Brings the changes of a registry to the other workers, and theirs here. To be used on one event loop.

    *ended* is called with each provider of which another worker, or an operator, ended a hold.
    """

    def __init__(self, registry: HoldRegistry, thread: DatabaseThread, ended: Callable[[str], None]) -> None:
        self._registry, self._thread, self._ended = registry, thread, ended
        self._changes: dict[Key, HoldChange] = {}  # not yet in the ledger
        self._unlogged: set[Key] = set()  # opened or ended here; the ledger decides which worker logs it
        self._ledger = Availability(logger, "holds.ledger_away", "holds.ledger_back")
        self._is_stopping = False
        self._wake = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Learn which holds stand; a ledger that is away is not waited for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEDGER_TIMEOUT):
                await self._step()
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Bring the last changes to the ledger, if it answers."""
        self._is_stopping = True
        self._wake.set()
        if self._keeper:
            await asyncio.wait([self._keeper], timeout=LEDGER_TIMEOUT)
            self._keeper.cancel()

    def open(self, hold: Hold, wait: float) -> None:
        """Have *hold* stand, here at once and everywhere within about a second; one of all workers logs it."""
        self._registry.put(hold, wait)
        self._note(HoldChange(hold), log=True)

    def alter(self, hold: Hold, wait: float) -> None:
        """Make the next version of *hold*, which ends or may be probed in *wait* seconds."""
        altered = _next_version(hold, wait)
        self._registry.put(altered, wait)
        self._note(HoldChange(altered))

    def end(self, hold: Hold) -> None:
        """Have it stand no more."""
        self._registry.drop(hold.key)
        self._note(HoldChange(hold, is_over=True), log=True)

    async def claim(self, hold: Hold, lease: float) -> Hold | None:
        """Return *hold*'s next version with the right to probe it for *lease* seconds; None: another worker has it."""
        claimed = _next_version(hold, lease)
        self._registry.put(claimed, lease)
        if hold.key in self._changes:  # the ledger is away, or does not know of it yet
            return claimed
        try:
            async with asyncio.timeout(LEDGER_TIMEOUT):
                is_ours = await self._thread.run(lambda database: store.claim(database, claimed))
        except (LedgerUnavailable, TimeoutError):
            return claimed
        return claimed if is_ours else None

    async def _keep(self) -> None:
        while not self._is_stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SYNC_INTERVAL):
                    await self._wake.wait()
            self._wake.clear()
            await self._step()

    async def _step(self) -> None:
        sent = dict(self._changes)
        try:
            first, standing = await self._thread.run(lambda database: store.exchange(database, list(sent.values())))
        except LedgerUnavailable as error:
            self._ledger.lost(error)
            self._log(sent, self._unlogged & sent.keys())
            return
        self._ledger.found()
        self._log(sent, first)
        self._changes = {key: change for key, change in self._changes.items() if sent.get(key) is not change}
        for provider in self._registry.merge(standing, self._changes):
            self._ended(provider)
        now = utc_now()
        for hold in standing:
            if not hold.is_probed and hold.until <= now and hold.key not in self._changes:
                self._note(HoldChange(hold, is_over=True), log=True, wake=False)

    def _note(self, change: HoldChange, *, log: bool = False, wake: bool = True) -> None:
        self._changes[change.hold.key] = change
        if log:
            self._unlogged.add(change.hold.key)
        if wake:
            self._wake.set()

    def _log(self, sent: dict[Key, HoldChange], done: set[Key]) -> None:
        for key, change in sent.items():
            if key in self._unlogged and key in done:
                _log(change)
            if self._changes.get(key) is change:
                self._unlogged.discard(key)


def _next_version(hold: Hold, wait: float) -> Hold:
    return replace(hold, until=utc_now() + timedelta(seconds=wait), version=hold.version + 1)


def _log(change: HoldChange) -> None:
    hold = change.hold
    fields = {"provider": hold.provider, "reason": hold.reason, "scope": hold.scope.value}
    fields["opened_by"] = hold.opened_by.value
    if hold.source:
        fields["source"] = hold.source
    if change.is_over:
        logger.warning("provider.released", extra=fields)
    else:
        level = logging.ERROR if hold.opened_by is OpenedBy.BREAKER else logging.WARNING
        logger.log(level, "provider.held", extra=fields)
