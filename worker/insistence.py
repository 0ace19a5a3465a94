"""The outbox of tasks: a queue that is full or missing is asked again, by the task that has something to say to it.

To give the message back instead would make the call once more, at the provider, and bring it nearer to the broker's
delivery limit: a dead letters' queue that stays full would drain every call into the broker's own dead-lettering. While
a task insists it keeps its place among the calls in flight; only what leaves the message safe ends it, or the worker's
stop, or a patience below RabbitMQ's consumer timeout (30 minutes, https://www.rabbitmq.com/docs/consumers).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Final

from worker.publisher import Message, PublishError, Refused, Unroutable

if TYPE_CHECKING:
    from worker.engine.outbox import LoopOutbox
    from worker.outbox import Outbox

logger = logging.getLogger(__name__)

PATIENCE: Final = 600.0  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 20.0  # seconds between two tries; each is twice as long as the one before


class InsistentOutbox:
    """Publishes over *outbox*. To be made and used on one event loop."""

    def __init__(self, outbox: Outbox | LoopOutbox) -> None:
        self._outbox = outbox
        self._stopping = asyncio.Event()
        self._refusing: set[tuple[str, str]] = set()  # exchange and routing key, each said once

    async def publish(self, *messages: Message) -> None:
        """Publish *messages*; returns once the broker confirmed all of them, else raises `PublishError`."""
        if len(messages) == 1:
            return await self._insist(messages[0])
        await asyncio.gather(*map(self._insist, messages))  # each by itself: what is confirmed must not go out again
        return None

    def stop(self) -> None:
        """Insist no more: what is refused now raises at once."""
        self._stopping.set()

    async def close(self) -> None:
        """Close the outbox."""
        await self._outbox.close()

    async def _insist(self, message: Message) -> None:
        until, pause = time.monotonic() + PATIENCE, FIRST_PAUSE
        while True:
            try:
                await self._outbox.publish(message)
            except (Refused, Unroutable) as error:
                self._say(message, error)
                if self._stopping.is_set() or time.monotonic() + pause > until:
                    raise
            else:
                return self._taken(message)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(2 * pause, LONGEST_PAUSE)

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
