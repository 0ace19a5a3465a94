"""The publisher of tasks: it asks a queue that is full or missing again.

To give the task's message back instead would make the call at the provider once more, and bring the message nearer to
the broker's delivery limit: while the dead letters' queue is full, every call would end in the broker's own
dead-lettering. But a task that asks again stays one of the calls in flight. So at most half of the calls in flight of a
lane may do this, and the others go on revoking; and it ends before RabbitMQ's consumer timeout (30 minutes,
https://www.rabbitmq.com/docs/consumers).
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from tasks.call import ProviderCall
from worker.broker import topology
from worker.broker.async_publisher import AsyncPublisher, ThreadPublisher
from worker.broker.publication import Message, PublishError, Refused, Unroutable

logger = logging.getLogger(__name__)

RETRY_TIMEOUT: Final = 600.0  # seconds
FIRST_PAUSE, MAX_PAUSE = 2.0, 20.0  # seconds between two tries; each is twice as long as the one before


class RetryingPublisher:
    """Publishes over *publisher*, on one event loop; *in_flight* returns how many calls a queue may have in flight."""

    def __init__(self, publisher: ThreadPublisher | AsyncPublisher, in_flight: Callable[[str], int]) -> None:
        self._publisher, self._in_flight = publisher, in_flight
        self._stopping = asyncio.Event()
        self._retrying: Counter[str] = Counter()  # calls that ask again, by their queue
        self._refusing: set[tuple[str, str]] = set()  # exchanges and routing keys whose refusal is logged

    async def publish(self, *messages: Message, of: ProviderCall | None = None) -> None:
        """Publish *messages*; returns once the broker confirmed all of them, else raises `PublishError`.

        Only what becomes *of* a call is published again after a refusal.
        """
        if len(messages) == 1:
            return await self._publish(messages[0], of)
        # Each by itself: what is confirmed must not go out again.
        await asyncio.gather(*(self._publish(message, of) for message in messages))
        return None

    def stop(self) -> None:
        """Ask no more: what is refused now raises at once."""
        self._stopping.set()

    async def close(self) -> None:
        """Close the publisher."""
        await self._publisher.close()

    async def _publish(self, message: Message, of: ProviderCall | None) -> None:
        try:
            await self._publisher.publish(message)
        except (Refused, Unroutable) as error:
            self._log_refusal(message, error)
            if of is None:
                raise
            with self._place_of(of) as has_place:
                if not has_place:
                    raise
                await self._retry(message)
        self._log_end_of_refusal(message)

    @contextlib.contextmanager
    def _place_of(self, call: ProviderCall) -> Iterator[bool]:
        queue = topology.calls_queue_name(call.provider, call.lane)
        has_place = 2 * self._retrying[queue] < self._in_flight(queue)
        self._retrying[queue] += has_place
        try:
            yield has_place
        finally:
            self._retrying[queue] -= has_place

    async def _retry(self, message: Message) -> None:
        until, pause = time.monotonic() + RETRY_TIMEOUT, FIRST_PAUSE
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(2 * pause, MAX_PAUSE)
            try:
                return await self._publisher.publish(message)
            except (Refused, Unroutable):
                if self._stopping.is_set() or time.monotonic() + pause > until:
                    raise

    def _log_refusal(self, message: Message, error: PublishError) -> None:
        if (route := _route(message)) not in self._refusing:
            self._refusing.add(route)
            logger.error("publish.refused", extra={"exchange": route[0], "routing_key": route[1], "error": str(error)})

    def _log_end_of_refusal(self, message: Message) -> None:
        if self._refusing and (route := _route(message)) in self._refusing:
            self._refusing.remove(route)
            logger.warning("publish.taken_again", extra={"exchange": route[0], "routing_key": route[1]})


def _route(message: Message) -> tuple[str, str]:
    return message.exchange, message.routing_key
