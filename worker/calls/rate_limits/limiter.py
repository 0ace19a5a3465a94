"""One credential's permits in one worker process: leased in batches, given out by urgency, and to sources in turn.

While the ledger is away a worker goes on at its own share of the limit, evenly.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from tasks.call import Lane
from tasks.runtime import GivenBack
from worker.calls.rate_limits.permits import Permit, PermitPool
from worker.calls.rate_limits.wait_queue import SourceDelays, WaitQueue, has_share
from worker.calls.rate_limits.window import Ask, Grant, Limit
from worker.database.errors import LedgerRefused, LedgerUnavailable

logger = logging.getLogger(__name__)

LEDGER_AWAY: Final = (LedgerUnavailable, LedgerRefused)
UNKNOWN_WORKERS: Final = 4  # by which a limit is divided until the ledger has answered once


class LocalFallback:
    """Begins when the ledger did not answer for so long that the other workers leave this one its share.

    Even, without catching up: while the others' last calls leave the window at one rate, this worker's enter it at a
    lower one, so together they stay within the limit when it was fully used at an even pace. *serve_next* makes one
    waiting call, and returns whether there was one.
    """

    def __init__(
        self, name: str, limit: Limit, loop: asyncio.AbstractEventLoop, serve_next: Callable[[], bool]
    ) -> None:
        self._name, self._limit, self._loop, self._serve_next = name, limit, loop, serve_next
        self.workers = UNKNOWN_WORKERS  # that share the limit, with this one
        self._next = 0.0
        self._timer = loop.call_later(limit.away, self._begin)
        self._is_active = False

    def postpone(self, since: float) -> None:
        """At the time *since* the ledger was asked, and answered soon enough."""
        if self._is_active:
            logger.warning("limit.shared", extra={"provider": self._name, "workers": self.workers})
        self._is_active = False
        self._timer.cancel()
        self._timer = self._loop.call_at(since + self._limit.away, self._begin)

    def serve(self) -> None:
        """Make a waiting call, if it is time for one; and the next one in its time."""
        now = self._loop.time()
        if self._is_active and now >= self._next and self._serve_next():
            self._next = now + self._limit.period * self.workers / self._limit.calls
            self._timer = self._loop.call_at(self._next, self.serve)

    def end(self) -> None:
        """Do nothing more."""
        self._timer.cancel()
        self._is_active = False

    def _begin(self) -> None:
        logger.warning("limit.alone", extra={"provider": self._name, "workers": self.workers})
        self._is_active, self._next = True, self._loop.time()
        self.serve()


class Limiter:
    """Permits for the calls of one credential. To be made and used on one event loop.

    *lease* asks the ledger, and raises LedgerUnavailable where it is away: then calls go on at this worker's own share.
    *spare*: how many permits all workers together lease ahead, so that an urgent call need not wait for the ledger.
    """

    def __init__(
        self, name: str, limit: Limit, worker: str, lease: Callable[[Ask], Awaitable[Grant]], spare: int | None = None
    ) -> None:
        self._limit, self._worker, self._lease = limit, worker, lease
        self._loop = asyncio.get_running_loop()
        self._queue = WaitQueue()
        self._permits = PermitPool(limit, limit.reserve if spare is None else spare, self._loop.time)
        self._delays = {lane: SourceDelays(self._loop.time) for lane in Lane}
        self._workers = 1
        self._fallback = LocalFallback(name, limit, self._loop, self._serve_from_own_share)
        self._needed = asyncio.Event()
        self._dry: frozenset[Lane] = frozenset()  # lanes whose calls wait for the window, not for a look at it
        self._is_stopped = False
        self._looking = self._loop.create_task(self._look_repeatedly())

    def put_back(self, lane: Lane, source: str, places: int) -> int:
        """Whole seconds after which a call of *source* is to come again, whose share of the queue is full; else 0.

        *places*: how many calls of its queue the worker has in hand at most. A call that only waits for a look at the
        ledger, which is a matter of moments, is not sent away.
        """
        if lane not in self._dry or has_share(self._queue.counts(lane), source, min(places, 2 * self._limit.places)):
            return 0
        return self._delays[lane].next(source, self._limit.period * self._workers / self._limit.calls / 2)

    async def permit(self, lane: Lane, source: str = "") -> Permit | None:
        """Wait until one call may be made; release the permit if it is not. Raises GivenBack at a stop."""
        if self._is_stopped:
            raise GivenBack
        if not self._queue and (permit := self._permits.take()):
            return permit
        if lane is Lane.URGENT and not self._queue.count(lane) and (permit := self._take_spare()):
            return permit
        place = self._queue.join(lane, source)
        if lane not in self._dry:
            self._needed.set()
        self._fallback.serve()
        return await place

    def release(self, permit: Permit | None) -> None:
        """Let another call have it; one of the worker's own share (None) is gone."""
        if permit:
            self._permits.release(permit)
        self._serve()

    def stop(self) -> None:
        """Raise GivenBack in every call that waits, and in those that come."""
        self._is_stopped = True
        self._queue.cancel_pending()

    async def close(self) -> None:
        """Look no more, and report to the others that their shares are larger now, if the ledger answers."""
        self._looking.cancel()
        self._fallback.end()
        with contextlib.suppress(*LEDGER_AWAY, TimeoutError):
            async with asyncio.timeout(self._limit.look_timeout):
                await self._lease(self._permits.leave(self._worker))

    def _take_spare(self) -> Permit | None:
        permit = self._permits.take(spare=True)
        if self._permits.is_spare_low:
            self._needed.set()
        return permit

    def _serve(self) -> None:
        while self._queue and (permit := self._permits.take()):
            self._queue.serve(permit)
        while self._queue.count(Lane.URGENT) and (permit := self._take_spare()):
            self._queue.serve(permit)

    def _serve_from_own_share(self) -> bool:
        is_served = self._queue.serve(None)
        if is_served:
            self._permits.note_call()
        return is_served

    async def _look_repeatedly(self) -> None:
        while True:
            pause = await self._look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._needed.wait()

    async def _look(self) -> float:
        """Ask the ledger once; returns the seconds until it is worth asking again, unless a call comes."""
        self._needed.clear()
        urgent, routine = self._queue.count(Lane.URGENT), self._queue.count(Lane.ROUTINE)
        began, ask = self._loop.time(), self._permits.ask(self._worker, urgent, routine, self._workers)
        try:
            grant = await self._lease(ask)
        except LEDGER_AWAY:
            return self._without_ledger(self._limit.away / 4)
        except Exception:
            logger.exception("limit.fault")  # a bug; calls go on as without the ledger
            return self._without_ledger(self._limit.window)
        self._workers = self._fallback.workers = grant.workers
        if self._permits.add(ask, grant, began):
            self._fallback.postpone(began)
        self._serve()
        self._dry = frozenset(lane for lane in Lane if self._queue.count(lane))
        often, seldom = self._limit.away / 4, self._limit.away / 2
        return min(seldom, max(often, grant.wait)) if self._dry else seldom

    def _without_ledger(self, pause: float) -> float:
        self._dry = frozenset(Lane)
        return pause
