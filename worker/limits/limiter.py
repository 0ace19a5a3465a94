"""One credential's permits in one worker process: leased in batches, given out in order of urgency."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Final

from tasks.base import GivenBack
from tasks.call import Lane
from worker.ledger import LedgerRefused, LedgerUnavailable
from worker.limits.alone import Alone
from worker.limits.line import Line
from worker.limits.stock import Permit, Stock
from worker.limits.window import Ask, Grant, Limit

logger = logging.getLogger(__name__)

AWAY: Final = (LedgerUnavailable, LedgerRefused)


class Limiter:
    """Permits for the calls of one credential. To be made and used on one event loop.

    *lease* asks the ledger, and raises LedgerUnavailable where it is away: then calls go on at this worker's own share.
    """

    def __init__(self, name: str, limit: Limit, worker: str, lease: Callable[[Ask], Awaitable[Grant]]) -> None:
        self._limit, self._worker, self._lease = limit, worker, lease
        self._loop = asyncio.get_running_loop()
        self._line, self._stock = Line(), Stock(self._loop.time)
        self._alone = Alone(name, limit, self._loop, lambda: self._line.call(None))
        self._needed = asyncio.Event()
        self._dry: frozenset[Lane] = frozenset()  # lanes whose calls wait for the window, not for a look at it
        self._given, self._looked = 0, self._loop.time()
        self._stopped = False
        self._looking = self._loop.create_task(self._look_again_and_again())

    async def permit(self, lane: Lane) -> Permit | None:
        """Wait until one call may be made; the permit is to be given back if it is not. Raises GivenBack at a stop."""
        if self._stopped:
            raise GivenBack
        if self._stock and not self._line:
            self._given += 1
            return self._stock.take()
        turn = self._line.join(lane)
        if lane not in self._dry:
            self._needed.set()
        self._alone.serve()
        return await turn

    def give_back(self, permit: Permit | None) -> None:
        """Let another call have it; one of the worker's own (None) is gone."""
        if permit:
            self._given -= 1
            self._stock.add(permit)
            self._serve()

    def stop(self) -> None:
        """Give back whoever waits, now and from now on."""
        self._stopped = True
        self._line.dismiss()

    async def close(self) -> None:
        """Look no more, and tell the others that theirs is more now; for them it may be found out."""
        self._looking.cancel()
        self._alone.end()
        with contextlib.suppress(*AWAY, TimeoutError):
            async with asyncio.timeout(self._limit.usable):
                await self._lease(self._ask(leaves=True))

    def _serve(self) -> None:
        while self._line and self._stock:
            self._given += 1
            self._line.call(self._stock.take())

    async def _look_again_and_again(self) -> None:
        while True:
            pause = await self._look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._needed.wait()

    async def _look(self) -> float:
        """Ask the ledger once; returns the seconds until it is worth asking again, unless somebody comes."""
        self._needed.clear()
        began, ask = self._loop.time(), self._ask()
        try:
            grant = await self._lease(ask)
        except AWAY:
            self._dry = frozenset(Lane)
            return self._limit.away / 4
        except Exception:
            logger.exception("limit.fault")  # a bug; calls go on as without the ledger
            self._dry = frozenset(Lane)
            return self._limit.window
        self._alone.told(grant.workers, began)
        permit = Permit(grant.slot, began + self._limit.usable)
        if self._loop.time() < permit.until:  # a ledger that is too slow for its permits is as good as away
            self._alone.sighted(began)
        self._stock.add(permit, grant.permits)
        self._serve()
        self._dry = frozenset(lane for lane in Lane if self._line.count(lane))
        often, seldom = self._limit.away / 4, self._limit.away / 2
        return min(seldom, max(often, grant.wait)) if self._dry else seldom

    def _ask(self, *, leaves: bool = False) -> Ask:
        """What is waited for; and of what was used lately, as much again as runs out before the next look."""
        now = self._loop.time()
        recent = self._given * self._limit.usable / max(self._limit.usable, now - self._looked)
        self._given, self._looked = 0, now
        return Ask(
            self._worker,
            0 if leaves else self._line.count(Lane.URGENT),
            0 if leaves else self._line.count(Lane.ROUTINE) + math.ceil(recent),
            self._stock.unused(math.inf if leaves else now),
            self._alone.ages(now),
            leaves=leaves,
        )
