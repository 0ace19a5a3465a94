"""The outbox of tasks: a queue that is full or missing is asked again, by the task that has something to say to it.

To give the message back instead would make the call once more, at the provider, and bring it nearer to the broker's
delivery limit: a dead letters' queue that stays full would drain every call into the broker's own dead-lettering. But a
task that insists keeps its place among the calls in flight. So half of a lane's places at most are given to that, and
the others go on revoking; and patience ends before RabbitMQ's consumer timeout (30 minutes,
https://www.rabbitmq.com/docs/consumers).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from worker.broker import topology
from worker.broker.publisher import Message, PublishError, Refused, Unroutable

if TYPE_CHECKING:
    from tasks.call import ProviderCall
    from worker.broker.async_publisher import LoopOutbox
    from worker.broker.thread_publisher import Outbox

logger = logging.getLogger(__name__)

PATIENCE: Final = 600.0  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 20.0  # seconds between two tries; each is twice as long as the one before


class InsistentOutbox:
    """Publishes over *outbox*, on one event loop; *places* says how many calls of a queue are in flight at most."""

    def __init__(self, outbox: Outbox | LoopOutbox, places: Callable[[str], int]) -> None:
        self._outbox, self._places = outbox, places
        self._stopping = asyncio.Event()
        self._insisting: Counter[str] = Counter()
        self._refusing: set[tuple[str, str]] = set()  # exchange and routing key, each said once

    async def publish(self, *messages: Message, of: ProviderCall | None = None) -> None:
        """Publish *messages*; returns once the broker confirmed all of them, else raises `PublishError`.

        They are what becomes *of* a call; nobody insists on others.
        """
        if len(messages) == 1:
            return await self._insist(messages[0], of)
        # Each by itself: what is confirmed must not go out again.
        await asyncio.gather(*(self._insist(message, of) for message in messages))
        return None

    def stop(self) -> None:
        """Insist no more: what is refused now raises at once."""
        self._stopping.set()

    async def close(self) -> None:
        """Close the outbox."""
        await self._outbox.close()

    async def _insist(self, message: Message, of: ProviderCall | None) -> None:
        try:
            await self._outbox.publish(message)
        except (Refused, Unroutable) as error:
            self._say(message, error)
            if of is None:
                raise
            with self._place_of(of) as has_place:
                if not has_place:
                    raise
                await self._again(message)
        self._taken(message)

    @contextlib.contextmanager
    def _place_of(self, call: ProviderCall) -> Iterator[bool]:
        queue = topology.calls_queue(call.provider, call.lane).name
        has_place = 2 * self._insisting[queue] < self._places(queue)
        self._insisting[queue] += has_place
        try:
            yield has_place
        finally:
            self._insisting[queue] -= has_place

    async def _again(self, message: Message) -> None:
        until, pause = time.monotonic() + PATIENCE, FIRST_PAUSE
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            try:
                return await self._outbox.publish(message)
            except (Refused, Unroutable):
                if self._stopping.is_set() or time.monotonic() + pause > until:
                    raise

    def _say(self, message: Message, error: PublishError) -> None:
        if (way := _way(message)) not in self._refusing:
            self._refusing.add(way)
            logger.error("publish.refused", extra={"exchange": way[0], "routing_key": way[1], "error": str(error)})

    def _taken(self, message: Message) -> None:
        if self._refusing and (way := _way(message)) in self._refusing:
            self._refusing.remove(way)
            logger.warning("publish.taken_again", extra={"exchange": way[0], "routing_key": way[1]})


def _way(message: Message) -> tuple[str, str]:
    return message.exchange, message.routing_key
