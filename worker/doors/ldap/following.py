"""A directory, followed for ever: its news are taken one after the other, and it is asked again after every failure."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from sqlalchemy import Connection as Transaction

from tasks.doors.ldap import Settings
from tasks.doors.ldap.people import News, Transition
from worker.database.cipher import RowCipher
from worker.directory.connection import Connection
from worker.directory.failures import DirectoryFailed
from worker.doors.delivery import Delivery, NotSafe
from worker.doors.ldap.store import DirectoryStore, Standing
from worker.doors.ldap.taking import Taken, Why, departed, hold, take
from worker.doors.outbox import OutgoingEvent
from worker.observability import metrics

T = TypeVar("T")
logger = logging.getLogger(__name__)

WAIT: Final = 1.0  # seconds for which a thread waits for news before it looks whether the process is to end
PING_INTERVAL: Final = 30.0  # seconds without news after which the server is asked whether it is there
RETRY: Final = (1.0, 60.0)  # seconds until a directory is asked again after a failure: at first, at most
_MOST_FAILURES: Final = 10  # that the wait grows by
HELD_LOOK: Final = 60.0  # seconds after which a held directory is asked again, whoever has released it or not


class Forgotten(Exception):  # noqa: N818 - what is the case
    """An operator has had the directory forgotten: it is to be read from the start."""


class Held(Exception):  # noqa: N818 - what is the case
    """The directory is held."""


@dataclass(slots=True)
class Following:
    """The directory of the door *name*, which speaks for *source*."""

    name: str
    source: str
    settings: Settings
    delivery: Delivery
    cipher: RowCipher
    held: Taken | None = None
    read_at: float = 0.0  # seconds since 1970
    _listed: float = field(default_factory=time.monotonic)
    _failures: int = 0
    _is_away: bool = False
    # One thread a connection, which serves one call at a time: libldap asks for that.
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "ldap"))

    async def run(self) -> None:
        """Follow until it is cancelled."""
        while True:
            try:
                await self._follow()
            except Held:
                await self._wait_for_release()
            except Forgotten:
                logger.warning("ldap.forgotten", extra={"door": self.name})
            except Exception as failed:  # noqa: BLE001 - a fault of ours must not end it: it is reported, and tried again
                await self._fail(failed)

    async def _fail(self, failed: Exception) -> None:
        """Say so once, and wait."""
        is_theirs = isinstance(failed, DirectoryFailed)
        if not self._is_away or not is_theirs:
            level, about = logging.WARNING if is_theirs else logging.ERROR, {"door": self.name, "error": str(failed)}
            logger.log(level, "ldap.away", extra=about, exc_info=None if is_theirs else failed)
        self._is_away = True
        if isinstance(failed, DirectoryFailed) and failed.is_of_cookie:
            await self._forget_cursor()
        self._failures = min(self._failures + 1, _MOST_FAILURES)
        await asyncio.sleep(random.uniform(0.5, 1) * min(RETRY[1], RETRY[0] * 2**self._failures))  # noqa: S311 - no secret

    async def _follow(self) -> None:
        connection = await self._in_thread(Connection, self.settings)
        try:
            await (self._hear(connection) if self.settings.follows else self._poll(connection))
        finally:
            self._thread.submit(connection.close)  # behind what the thread may be at

    async def _hear(self, connection: Connection) -> None:
        """Take what the server tells, until everybody is to be listed: after that it tells again, from there."""
        await self._list_in_time(connection)
        standing = await self._standing()
        await self._in_thread(connection.follow, standing.cursor)
        while not self._is_listing_due():
            news = await self._in_thread(connection.next, WAIT)
            if news is not None:
                await self.accept(connection, news)
            elif time.time() - self.read_at > PING_INTERVAL:
                await self._in_thread(connection.ping)
                self._reached()

    async def _poll(self, connection: Connection) -> None:
        """Look for what was changed, and now and then at everybody."""
        while True:
            await self._list_in_time(connection)
            cursor = (await self._standing()).cursor
            news = await self._in_thread(connection.changed, cursor)
            await self.accept(connection, news)
            await asyncio.sleep(self.settings.poll_interval)

    async def _list_in_time(self, connection: Connection) -> None:
        """Look at everybody, if it is time: what is found so was missed before."""
        if not self._is_listing_due():
            return
        try:
            news = await self._in_thread(connection.everybody)
        except DirectoryFailed as failed:  # as by a limit of size: what the server tells is heard all the same
            logger.warning("ldap.listing_failed", extra={"door": self.name, "error": str(failed)})
        else:
            metrics.DIRECTORY_MISSED.add(self.name, count=await self.accept(connection, news))
        self._listed = time.monotonic()

    async def _in_thread(self, ask: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401 - whatever is asked takes
        return await asyncio.get_running_loop().run_in_executor(self._thread, ask, *arguments)

    def _is_listing_due(self) -> bool:
        return time.monotonic() - self._listed >= self.settings.listing_interval

    async def accept(self, connection: Connection, news: News) -> int:
        """Take *news* whole; return how many people changed. Raises Held, Forgotten and DirectoryFailed."""
        self._reached()
        if news.is_empty:
            return 0
        gone = await self._safely(lambda: self.delivery.read(lambda each: departed(self._store(each), news)))
        if gone and (alive := await self._in_thread(connection.there, gone)):
            await self._hold(Why.CONTRADICTION, alive)
        count, is_all = 0, False
        job = take(news, self.settings.largest_change, self._event, self._store)
        while not is_all:
            taken = await self._safely(lambda: self.delivery.transact(job))
            if taken.is_forgotten:
                raise Forgotten
            if taken.held:
                self._note_held(taken)
            count, is_all = count + taken.transitions, taken.is_all
        self._note_free()
        return count

    async def _hold(self, why: Why, ids: frozenset[str]) -> None:
        def job(transaction: Transaction) -> tuple[Taken, tuple[OutgoingEvent, ...]]:
            store = self._store(transaction)
            store.take_turn()
            return hold(store, why, map(store.digest, ids)), ()

        self._note_held(await self._safely(lambda: self.delivery.transact(job)))

    def _note_held(self, taken: Taken) -> None:
        if self.held is None or (self.held.held, self.held.people) != (taken.held, taken.people):
            logger.error("ldap.held", extra={"door": self.name, "why": str(taken.held), "people": taken.people})
        self.held = taken
        raise Held

    def _note_free(self) -> None:
        if self.held is not None:
            logger.info("ldap.free", extra={"door": self.name})
        self.held = None

    async def _wait_for_release(self) -> None:
        """Return when an operator has released the directory, or when it may say something else by now."""
        until = time.monotonic() + min(HELD_LOOK, self.settings.listing_interval)
        while time.monotonic() < until and not (await self._standing()).is_released:  # noqa: ASYNC110 - a row
            await asyncio.sleep(WAIT)
        if self.held and self.held.held is Why.CONTRADICTION:
            await self._forget_cursor()

    async def _forget_cursor(self) -> None:
        """Have the next refresh be one of everybody."""

        def job(transaction: Transaction) -> tuple[None, tuple[OutgoingEvent, ...]]:
            self._store(transaction).forget_cursor()
            return None, ()

        await self._safely(lambda: self.delivery.transact(job))

    async def _standing(self) -> Standing:
        return await self._safely(lambda: self.delivery.read(lambda each: self._store(each).standing()))

    async def _safely(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return the answer of the database, as often as it must be asked: what is not kept is not done."""
        while True:
            try:
                return await ask()
            except NotSafe:
                await asyncio.sleep(RETRY[0])

    def _event(self, transition: Transition) -> OutgoingEvent:
        event = transition.event(datetime.now(UTC), self.settings.subject_issuer)
        return OutgoingEvent(self.name, event.type, event.body(self.source))

    def _store(self, transaction: Transaction) -> DirectoryStore:
        return DirectoryStore(transaction, self.cipher, self.name)

    def _reached(self) -> None:
        if self._is_away:
            logger.warning("ldap.back", extra={"door": self.name})
        self._failures, self._is_away, self.read_at = 0, False, time.time()
