"""Limiters of several workers on one ledger, on each database: shared, ahead, urgent first, and alone for a while."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tasks.call import Lane
from tasks.runtime import GivenBack
from worker.calls.rate_limits import Limit, Limiter, store
from worker.calls.rate_limits.store import PermitLease
from worker.calls.rate_limits.window import Ask, Grant, Record
from worker.database.thread import DatabaseThread
from worker.ledger import Ledger, LedgerUnavailable

pytest_plugins = ["ledger_fixtures"]

KEY = "f" * 32


class Workers:
    """Makes limiters on the ledger at *url*, as many workers would, and takes the ledger away from them."""

    def __init__(self, url: str) -> None:
        self.url, self.desk = url, DatabaseThread(url)
        self.away = False
        self.slow = 0.0  # seconds
        self.asked: list[Ask] = []
        self.answered = 0
        self._limiters: list[Limiter] = []

    def limiter(self, limit: Limit, worker: str = "w1") -> Limiter:
        """One worker's."""
        leasing = PermitLease(self.desk, KEY, limit)

        async def lease(ask: Ask) -> Grant:
            self.asked.append(ask)
            try:
                return await self._ask(leasing, ask)
            finally:
                self.answered += 1

        self._limiters.append(Limiter("genesys", limit, worker, lease))
        return self._limiters[-1]

    async def _ask(self, leasing: PermitLease, ask: Ask) -> Grant:
        if self.away:
            raise LedgerUnavailable("away")
        grant = await leasing(ask)
        await asyncio.sleep(self.slow)
        return grant

    def record(self) -> Record:
        """What the database keeps."""
        with contextlib.closing(Ledger.open(self.url)) as ledger, ledger.database.writing() as connection:
            return Record.load(store.locked(connection, KEY))

    def booked(self, *, spare: bool = False, held: bool = False) -> int:
        """How many calls are on record; of those only the spare permits, or those that are held."""
        bookings = [each for each in self.record().bookings.values() if each.worker or not held]
        return sum(each.spare if spare else each.calls for each in bookings)

    async def close(self) -> None:
        """Close what was made."""
        await asyncio.gather(*(each.close() for each in self._limiters))
        self.desk.close()


@pytest.fixture
async def workers(ledger: Ledger, ledger_url: str) -> AsyncIterator[Workers]:
    """On each database in turn."""
    del ledger
    made = Workers(ledger_url)
    yield made
    await made.close()


async def until(true: Callable[[], object], seconds: float = 10) -> None:
    """Wait for something."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - polled, with a deadline
            await asyncio.sleep(0.01)


async def test_many_calls_are_permitted_by_few_looks(workers: Workers) -> None:
    """The ledger is not asked for each call; what was not used is handed back."""
    limiter = workers.limiter(Limit(100_000))
    for _ in range(300):
        await asyncio.gather(*(limiter.permit(Lane.ROUTINE) for _ in range(3)))
        await asyncio.sleep(0.001)
    assert len(workers.asked) < 100
    await until(lambda: workers.booked(held=True) == workers.booked(spare=True))


async def test_two_workers_share_one_limit(workers: Workers) -> None:
    """Together they get what one would."""
    limit = Limit(20)
    both = [workers.limiter(limit, name) for name in ("w1", "w2")]
    waiting = [asyncio.ensure_future(each.permit(Lane.URGENT)) for each in both for _ in range(20)]
    await until(lambda: sum(each.done() for each in waiting) == 20)
    seen = len(workers.asked)
    for limiter in both:
        limiter._needed.set()
    await until(lambda: {ask.worker for ask in workers.asked[seen:]} == {"w1", "w2"})
    assert sum(each.done() for each in waiting) == 20
    assert workers.booked() == 20
    for each in waiting:
        each.cancel()


async def test_urgent_calls_go_first(workers: Workers) -> None:
    """Those in the line already wait a little longer."""
    limiter = workers.limiter(Limit(4, window=8, permit_ttl=1.5, network_jitter=0.1))
    order: list[Lane] = []

    async def call(lane: Lane) -> None:
        await limiter.permit(lane)
        order.append(lane)

    calls = [asyncio.ensure_future(call(lane)) for lane in [Lane.ROUTINE] * 5 + [Lane.URGENT] * 2]
    await until(lambda: len(order) >= 3)
    assert order[:2] == [Lane.URGENT, Lane.URGENT]
    for each in calls:
        each.cancel()


async def test_a_stop_gives_back_whoever_waits(workers: Workers) -> None:
    """At once, and whoever comes afterwards too."""
    limiter = workers.limiter(Limit(1))
    await limiter.permit(Lane.ROUTINE)
    waiting = asyncio.ensure_future(limiter.permit(Lane.URGENT))
    await until(lambda: limiter._queue.count(Lane.URGENT))
    limiter.stop()
    with pytest.raises(GivenBack):
        await waiting
    with pytest.raises(GivenBack):
        await limiter.permit(Lane.URGENT)


async def test_without_the_ledger_a_worker_goes_on_at_its_share(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    """Evenly, said once; what it used is told when the ledger is back, and the limit is shared again."""
    limit = Limit(60, window=12, permit_ttl=1.5, network_jitter=0.1, look_timeout=0.5)
    first, _ = workers.limiter(limit, "w1"), workers.limiter(limit, "w2")
    await until(lambda: sum(ask.worker == "w1" for ask in workers.asked) == 2)  # the second time it sees the other
    workers.away = True
    await until(lambda: "limit.alone" in caplog.text)
    began = time.monotonic()
    assert [await first.permit(Lane.ROUTINE) for _ in range(6)] == [None] * 6
    assert time.monotonic() - began >= 0.95 * 5 * 2 * limit.period / 60
    workers.away = False
    await until(lambda: "limit.shared" in caplog.text)
    await until(lambda: workers.booked() - workers.booked(held=True) >= 6)
    assert caplog.text.count("limit.alone") == 2  # one of each worker


async def test_a_ledger_that_cannot_be_opened_stops_nobody(tmp_path: Path) -> None:
    """Not even from the start: a share of what strangers might use as well."""
    limit = Limit(1200, window=6)
    workers = Workers(f"sqlite:///{tmp_path}/nowhere/ledger.sqlite3")
    limiter = workers.limiter(limit)
    async with asyncio.timeout(5):
        for _ in range(10):
            assert await limiter.permit(Lane.ROUTINE) is None
    await workers.close()


async def test_a_ledger_too_slow_for_its_permits_is_as_good_as_away(workers: Workers) -> None:
    """What comes too late to be used is handed back, and the calls go on."""
    workers.slow = 0.2
    limiter = workers.limiter(Limit(600, window=6, network_jitter=0.1, look_timeout=0.1))
    async with asyncio.timeout(10):
        for _ in range(20):
            assert await limiter.permit(Lane.ROUTINE) is None
    assert {(ask.held, ask.held_spare) for ask in workers.asked} == {(0, 0)}
    limiter._looking.cancel()
    await limiter._lease(limiter._permits.leave("w1"))
    assert workers.booked(held=True) == 0


async def test_an_urgent_call_waits_for_no_ledger(workers: Workers) -> None:
    """Its permit was leased before; those that lie there are booked anew at each look, and never add up."""
    limit = Limit(300)
    limiter = workers.limiter(limit)
    for looks in (1, 2, 3):
        await until(lambda looks=looks: workers.answered >= looks)  # type: ignore[misc]
        assert workers.booked(spare=True) == limit.reserve
        limiter._needed.set()
    workers.slow = 5.0
    async with asyncio.timeout(1):
        permits = [await limiter.permit(Lane.URGENT) for _ in range(limit.reserve)]
    assert all(permit and permit.is_spare for permit in permits)


async def test_what_is_leased_ahead_is_shared_by_the_workers(workers: Workers) -> None:
    """Who was alone at first hands back what is more than its share."""
    limit = Limit(300)
    both = [workers.limiter(limit, name) for name in ("w1", "w2")]
    await until(lambda: all(each._permits._spare for each in both))
    for _ in range(3):
        seen = len(workers.asked)
        for each in both:
            each._needed.set()
        await until(lambda seen=seen: {ask.worker for ask in workers.asked[seen:]} == {"w1", "w2"})  # type: ignore[misc]
        await until(lambda: workers.answered == len(workers.asked))
    assert workers.booked(spare=True) <= limit.reserve + 1


async def test_no_routine_call_takes_what_is_leased_ahead(workers: Workers) -> None:
    """Nor does an urgent one overtake another that waits already."""
    limiter = workers.limiter(Limit(300))
    await until(lambda: limiter._permits._spare)
    workers.away = True
    routine = asyncio.ensure_future(limiter.permit(Lane.ROUTINE))
    assert await limiter.permit(Lane.URGENT)
    assert not routine.done()
    routine.cancel()


async def test_calls_are_reported_until_a_look_is_confirmed(workers: Workers) -> None:
    """Whoever did not hear the ledger's answer goes on with the permits it holds, and reports what it used again."""
    limiter = workers.limiter(Limit(300))
    await until(lambda: limiter._permits._spare)
    workers.away = True
    assert await limiter.permit(Lane.URGENT)
    for _ in range(2):
        seen = len(workers.asked)
        limiter._needed.set()
        await until(lambda seen=seen: len(workers.asked) > seen)  # type: ignore[misc]
        assert len(workers.asked[-1].made) == 1
    assert await limiter.permit(Lane.URGENT)
    workers.away = False
    seen = len(workers.asked)
    limiter._needed.set()
    await until(lambda: len(workers.asked) > seen and workers.answered == len(workers.asked))
    assert len(workers.asked[seen].made) == 2
    assert workers.booked() - workers.booked(held=True) == 2


async def test_a_released_permit_is_used_again_unless_it_was_reported(workers: Workers) -> None:
    """What is on record as a call stays so: nobody knows any more whether another took its place."""
    limiter = workers.limiter(Limit(300))
    await until(lambda: limiter._permits._spare)
    had = limiter._permits._spare
    permit = await limiter.permit(Lane.URGENT)
    limiter.release(permit)
    assert limiter._permits._spare == had
    permit = await limiter.permit(Lane.URGENT)
    workers.slow, seen = 2.0, len(workers.asked)
    limiter._needed.set()
    await until(lambda: len(workers.asked) > seen)
    limiter.release(permit)
    assert limiter._permits._spare == had - 1
