"""One credential's permits in one worker process: leased in batches, given out by urgency, and to sources in turn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Final

from tasks.call import Lane
from tasks.runtime import GivenBack
from worker.calls.rate_limits.fallback import Alone
from worker.calls.rate_limits.line import Line
from worker.calls.rate_limits.shares import Promises, has_share
from worker.calls.rate_limits.spare import Spare
from worker.calls.rate_limits.stock import Permit, Stock
from worker.calls.rate_limits.window import Ask, Grant, Limit
from worker.ledger import LedgerRefused, LedgerUnavailable

logger = logging.getLogger(__name__)

AWAY: Final = (LedgerUnavailable, LedgerRefused)


class Limiter:
    """Permits for the calls of one credential. To be made and used on one event loop.

    *lease* asks the ledger, and raises LedgerUnavailable where it is away: then calls go on at this worker's own share.
    *spare*: how many permits all workers together lease ahead, so that an urgent call need not wait for the ledger.
    """

    def __init__(
        self,
        name: str,
        limit: Limit,
        worker: str,
        lease: Callable[[Ask], Awaitable[Grant]],
        spare: int | None = None,
    ) -> None:
        self._limit, self._worker, self._lease = limit, worker, lease
        self._loop = asyncio.get_running_loop()
        self._line, self._stock = Line(), Stock(self._loop.time)
        self._spare = Spare(limit.reserve if spare is None else spare, limit, self._loop.time)
        self._promises = {lane: Promises(self._loop.time) for lane in Lane}
        self._workers = 1
        self._alone = Alone(name, limit, self._loop, lambda: self._line.call(None))
        self._needed = asyncio.Event()
        self._dry: frozenset[Lane] = frozenset()  # lanes whose calls wait for the window, not for a look at it
        self._given, self._looked = 0, self._loop.time()
        self._stopped = False
        self._looking = self._loop.create_task(self._look_again_and_again())

    def put_back(self, lane: Lane, source: str, places: int) -> int:
        """Whole seconds after which a call of *source* is to come again, whose share of the line is full; else 0.

        *places*: how many calls of its queue the worker has in hand at most. Who only waits for a look at the ledger,
        which is a matter of moments, is not sent away.
        """
        if lane not in self._dry or has_share(self._line.counts(lane), source, min(places, 2 * self._limit.ahead)):
            return 0
        return self._promises[lane].next(source, self._limit.period * self._workers / self._limit.calls / 2)

    async def permit(self, lane: Lane, source: str = "") -> Permit | None:
        """Wait until one call may be made; the permit is to be given back if it is not. Raises GivenBack at a stop."""
        if self._stopped:
            raise GivenBack
        if self._stock and not self._line:
            self._given += 1
            return self._stock.take()
        if lane is Lane.URGENT and not self._line.count(lane) and (permit := self._take_spare()):
            return permit
        turn = self._line.join(lane, source)
        if lane not in self._dry:
            self._needed.set()
        self._alone.serve()
        return await turn

    def give_back(self, permit: Permit | None) -> None:
        """Let another call have it; one of the worker's own (None) is gone."""
        if permit and permit.is_ahead:
            self._spare.give_back(permit)
        elif permit:
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

    def _take_spare(self) -> Permit | None:
        permit = self._spare.take()
        if self._spare.is_low:
            self._needed.set()
        return permit

    def _serve(self) -> None:
        while self._line and self._stock:
            self._given += 1
            self._line.call(self._stock.take())
        while self._line.count(Lane.URGENT) and (permit := self._take_spare()):
            self._line.call(permit)

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
            return self._not_told(self._limit.away / 4)
        except Exception:
            logger.exception("limit.fault")  # a bug; calls go on as without the ledger
            return self._not_told(self._limit.window)
        self._workers = grant.workers
        self._alone.told(grant.workers, began)
        permit = Permit(grant.slot, began + self._limit.usable)
        if self._loop.time() < permit.until:  # a ledger that is too slow for its permits is as good as away
            self._alone.sighted(began)
        self._stock.add(permit, grant.permits)
        self._spare.told(ask, grant, began)
        self._serve()
        self._dry = frozenset(lane for lane in Lane if self._line.count(lane))
        often, seldom = self._limit.away / 4, self._limit.away / 2
        return min(seldom, max(often, grant.wait)) if self._dry else seldom

    def _not_told(self, pause: float) -> float:
        self._spare.not_told()
        self._dry = frozenset(Lane)
        return pause

    def _ask(self, *, leaves: bool = False) -> Ask:
        """What is waited for; and of what was used lately, as much again as runs out before the next look."""
        now = self._loop.time()
        recent = self._given * self._limit.usable / max(self._limit.usable, now - self._looked)
        self._given, self._looked = 0, now
        ask = Ask(
            self._worker,
            0 if leaves else self._line.count(Lane.URGENT),
            0 if leaves else self._line.count(Lane.ROUTINE) + math.ceil(recent),
            self._stock.unused(math.inf if leaves else now),
            self._alone.ages(now),
            leaves=leaves,
        )
        return self._spare.asked(ask, self._workers)
