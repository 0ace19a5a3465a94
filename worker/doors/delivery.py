"""The law of every door: an event is safe before its sender is told so.

Safe is what the broker has confirmed, or what is committed to the outbox, which is emptied in order as soon as the
broker is there. While anything waits there, what comes goes behind it.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, TypeVar

from sqlalchemy import Connection

from worker.broker import messages
from worker.broker.async_publisher import AsyncPublisher, ThreadPublisher
from worker.broker.availability import Availability
from worker.broker.provenance import ProvenanceMac
from worker.broker.publication import Message, PublishError, Unconfirmed
from worker.database.cipher import UnreadableRow
from worker.database.errors import LedgerUnavailable
from worker.doors.outbox import Outbox, OutboxFull, OutgoingEvent
from worker.observability import metrics

T = TypeVar("T")
logger = logging.getLogger(__name__)

PUBLISH_TIMEOUT: Final = 1.5  # seconds for a confirm while a sender waits: some of them wait three in all
DRAIN_BATCH: Final = 50  # events
LOOK_INTERVAL: Final = 5.0  # seconds between two looks at an outbox in which nothing is known to wait
RETRY_INTERVAL: Final = 1.0  # seconds between two tries of a broker that is away
RETRY_AFTER: Final = 10  # seconds after which a sender may try again


class NotSafe(Exception):  # noqa: N818 - what is the case
    """Neither the broker nor the outbox took the events."""


class Delivery:
    """Makes events safe, and empties the outbox. To be used on one event loop."""

    def __init__(self, publisher: AsyncPublisher | ThreadPublisher, outbox: Outbox, mac: ProvenanceMac) -> None:
        self._publisher, self._outbox, self._mac = publisher, outbox, mac
        self._wake = asyncio.Event()
        self._broker = Availability(logger, "door.broker_away", "door.broker_back")
        self._database = Availability(logger, "door.outbox_away", "door.outbox_back")
        self.last: dict[str, datetime] = {}  # when each door's last event became safe

    async def secure(self, events: Sequence[OutgoingEvent]) -> None:
        """Return once *events* are safe. Raises NotSafe."""
        if not events:
            return
        is_in_turn = not self._outbox.waiting
        if not (is_in_turn and await self._is_published(events)):
            try:
                await self._kept(self._outbox.put(events))
            except NotSafe:
                if is_in_turn or not await self._is_published(events):
                    raise
        self._note(events)

    async def transact(self, job: Callable[[Connection], tuple[T, Sequence[OutgoingEvent]]]) -> T:
        """Return what *job* returns first, once what it changed and its events are on the disk. Raises NotSafe."""
        kept: list[OutgoingEvent] = []

        def noted(connection: Connection) -> tuple[T, Sequence[OutgoingEvent]]:
            result, events = job(connection)
            kept[:] = events
            return result, events

        result = await self._kept(self._outbox.transact(noted))
        self._note(kept)
        return result

    async def read(self, job: Callable[[Connection], T]) -> T:
        """Return what *job* returns, which only reads. Raises NotSafe where the database is away."""
        return await self._kept(self._outbox.read(job))

    async def drain(self) -> None:
        """Empty the outbox for ever, in order."""
        while True:
            self._wake.clear()
            pause = LOOK_INTERVAL
            with suppress(NotSafe):
                pause = await self._drained()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)

    async def _drained(self) -> float:
        """Publish what waits until nothing does, or until something stands in the way; return the seconds to wait."""
        while batch := await self._kept(self._outbox.first(DRAIN_BATCH)):
            if not await self._is_published([event for _, event in batch], patient=True):
                await asyncio.sleep(RETRY_INTERVAL)
                return 0.0
            await self._kept(self._outbox.drop(number for number, _ in batch))
        await self._kept(self._outbox.look())
        return LOOK_INTERVAL

    async def _kept(self, work: Awaitable[T]) -> T:
        """Return the answer of the database. Raises NotSafe."""
        try:
            result = await work
        except (OutboxFull, LedgerUnavailable, UnreadableRow) as error:
            self._database.lost(error)
            raise NotSafe from None
        self._database.found()
        return result

    async def _is_published(self, events: Sequence[OutgoingEvent], *, patient: bool = False) -> bool:
        """Whether the broker has confirmed *events*. What it did not confirm in time it may have all the same."""
        publishing = self._publisher.publish(*map(self._message, events))
        try:
            await (publishing if patient else asyncio.wait_for(publishing, PUBLISH_TIMEOUT))
        except (PublishError, TimeoutError) as error:
            self._broker.lost(error if str(error) else Unconfirmed("the broker did not confirm in time"))
            return False
        self._broker.found()
        return True

    def _message(self, event: OutgoingEvent) -> Message:
        """As it leaves: under a voucher of now, which says by which door it came."""
        headers = {messages.DOOR: messages.door(event.door)}
        return self._mac.sign(messages.event(event.body, event.event_type, headers=headers))

    def _note(self, events: Sequence[OutgoingEvent]) -> None:
        self._wake.set()
        self.last |= dict.fromkeys((each.door for each in events), datetime.now(UTC))
        for (door, kind), count in Counter((each.door, each.event_type) for each in events).items():
            metrics.DOOR_EVENTS.add(door, kind, count=count)
