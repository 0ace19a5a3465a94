"""A door whose source publishes to our broker: its queue is consumed, under the law of every door.

A message is acknowledged once every event of it is safe. Until then it stays where it is, or comes again.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from kombu import Connection, Consumer, Queue
from kombu.message import Message

from worker.broker import pyamqp, topology
from worker.broker.availability import Availability
from worker.broker.publication import BROKER_ERRORS

logger = logging.getLogger(__name__)

PREFETCH: Final = 100  # messages that are judged together
IDLE_TIMEOUT: Final = 1.0  # seconds to wait for a message, until the connection is looked after
GATHER_TIMEOUT: Final = 0.005  # seconds to wait for another message, to be judged together
RETRY_INTERVAL: Final = 1.0  # seconds between two tries of what was not safe, and of a broker that is away

Take = Callable[[bytes], Awaitable[bool]]
"""Makes the events of a message safe; returns whether they are."""


@dataclass(frozen=True, slots=True)
class QueueDoor:
    """Consumes *queue* in a thread of its own; *take* runs on *loop*."""

    connect: Callable[[], Connection]
    queue: Queue
    take: Take
    loop: asyncio.AbstractEventLoop
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Consume until stopped. A broker that is away, or has no such queue, is logged once, and waited for."""
        availability = Availability(logger, "door.queue_away", "door.queue_back")
        while not self.stop.is_set():
            try:
                with self.connect() as connection:
                    self._consume(connection, availability)
            except BROKER_ERRORS as error:
                availability.lost(error)
                self.stop.wait(RETRY_INTERVAL)

    def _consume(self, connection: Connection, availability: Availability) -> None:
        topology.declare_door(connection, self.queue)
        inbox: deque[Message] = deque()
        channel = connection.channel()
        channel.auto_decode = False
        consumer = Consumer(channel, [self.queue], on_message=inbox.append, prefetch_count=PREFETCH, auto_declare=False)
        with consumer:
            availability.found()
            while not self.stop.is_set():
                _receive(connection, inbox)
                self._settle(inbox)

    def _settle(self, inbox: deque[Message]) -> None:
        """Acknowledge what is safe; what is not stays, and is tried again with what comes meanwhile."""
        messages = [*inbox]
        inbox.clear()
        inbox.extend(self._unsafe(messages))
        kept = set(map(id, inbox))
        pyamqp.acknowledge([each for each in messages if id(each) not in kept])
        if inbox:
            self.stop.wait(RETRY_INTERVAL)

    def _unsafe(self, messages: Sequence[Message]) -> list[Message]:
        taking = [asyncio.run_coroutine_threadsafe(_taken(self.take, bytes(each.body)), self.loop) for each in messages]
        return [message for message, taken in zip(messages, taking, strict=True) if not taken.result()]


@asynccontextmanager
async def consuming(connect: Callable[[], Connection], queues: Sequence[tuple[Queue, Take]]) -> AsyncIterator[None]:
    """Consume *queues* until the end of the block."""
    loop = asyncio.get_running_loop()
    doors = [QueueDoor(connect, queue, take, loop) for queue, take in queues]
    threads = [threading.Thread(target=each.run, name=each.queue.name) for each in doors]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for door in doors:
            door.stop.set()
        await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))


async def _taken(take: Take, body: bytes) -> bool:
    try:
        return await take(body)
    except Exception:  # a bug: the message stays, and the others are consumed all the same
        logger.exception("door.message_failed")
        return False


def _receive(connection: Connection, inbox: deque[Message]) -> None:
    """Wait for a message, for a while, and take what has come with it: one message a time would wait for each."""
    try:
        connection.drain_events(timeout=IDLE_TIMEOUT)
        while len(inbox) < PREFETCH:
            connection.drain_events(timeout=GATHER_TIMEOUT)
    except TimeoutError:
        connection.heartbeat_check()
