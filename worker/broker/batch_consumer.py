"""The consuming loop that intake and recorder share: take a batch, make it safe, acknowledge it."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from kombu import Consumer

from worker import broker, process
from worker.broker import topology
from worker.broker.availability import BrokerAvailability
from worker.broker.publisher import BROKER_ERRORS

if TYPE_CHECKING:
    from kombu import Connection, Queue
    from kombu.message import Message

logger = logging.getLogger(__name__)

BATCH: Final = 100  # messages handled together
BATCH_BYTES: Final = 8 * 1_048_576  # of each queue: what is far too large is not collected a hundred times
PREFETCH: Final = 4 * BATCH  # of each queue
IDLE: Final = 1.0  # seconds the first message is waited for, until the connection is looked after
LONGEST_PAUSE: Final = 10.0  # seconds between two tries at something that fails
QUIET: Final = 10.0  # seconds without a message, after which RabbitMQ is asked anew for what is there

Handle = Callable[[Sequence["Message"]], Sequence["Message"]]


class BatchConsumer:
    """Consumes *queues* until *stop* is set, whatever happens to the broker; one batch of each a round, in that order.

    So a message waits for what is before it in its own queue, and for one batch of each other. *handle* makes a batch
    safe and returns the messages that are not: they stay unacknowledged and are handed to it again after a pause, so
    nothing is lost while what it writes to is away, and no delivery count is spent.
    """

    head_start = 0.0  # seconds that each queue is worked on, if it holds as much, before the next one gets its batch
    between: Callable[[Connection], None] | None = None  # what is done between two rounds; it is quick

    def __init__(
        self,
        connect: Callable[[], Connection],
        queues: Sequence[Queue],
        providers: Sequence[str],
        handle: Handle,
        stop: process.Stop,
    ) -> None:
        self._connect, self._providers = connect, providers
        self._stop = stop
        self._lanes = [_Lane(queue, handle) for queue in queues]
        self._reachability = BrokerAvailability()
        self._is_ready = False

    def run(self) -> None:
        """Consume until stopped. A broker that is away is said once, and waited for."""
        pause = _Pause()
        while not self._stop.is_set():
            try:
                with self._connect() as connection:
                    self._consume(connection, pause)
            except BROKER_ERRORS as error:
                self._reachability.lost(error)
                for lane in self._lanes:
                    lane.clear()  # the broker delivers again what was not acknowledged
                pause.begin()
                self._stop.wait(pause.left)

    def _consume(self, connection: Connection, pause: _Pause) -> None:
        connection.connect()
        topology.declare(connection, self._providers)
        while not self._stop.is_set():
            with contextlib.ExitStack() as consuming:
                channel = connection.channel()
                channel.auto_decode = False  # else py-amqp makes text of a body, by whatever coding a producer names
                for lane in self._lanes:
                    consuming.enter_context(lane.consumer(channel))
                self._say_consuming()
                pause.reset()
                self._work(connection)
            self._finish(connection)
            channel.close()

    def _work(self, connection: Connection) -> None:
        """Fill and settle until stopped, or until it is so quiet that the channel may be at fault.

        Where a queue is deleted and at once declared again RabbitMQ moves its consumers to the new one by itself, with
        the count of messages of the old: as many of the new are then taken for known and not delivered, and wait for
        the end of the channel. Nobody is told, the consumer is still counted (seen with 3.10.8).
        """
        quiet = time.monotonic() + QUIET
        while not self._stop.is_set() and (time.monotonic() < quiet or not topology.delays_by_topology(connection)):
            self._fill(connection)
            if any(lane.inbox for lane in self._lanes):
                quiet = time.monotonic() + QUIET
            for lane in self._lanes[:-1]:
                self._lead(lane, connection)
            for lane in self._lanes:
                lane.settle()
            if self.between is not None:
                self.between(connection)
            self._reachability.look()

    def _lead(self, lane: _Lane, connection: Connection) -> None:
        """Settle what a lane holds, but for its last batch, for as long as it has a head start of those after it."""
        until = time.monotonic() + self.head_start
        while len(lane.inbox) > BATCH and not lane.is_pausing and time.monotonic() < until:
            lane.settle()
            self._fill(connection)

    def _fill(self, connection: Connection) -> None:
        """Wait for a first message or the end of a pause, then take what is there already: nobody waits for company."""
        waiting = min(lane.patience for lane in self._lanes)
        while self._has_room() and _drain(connection, waiting):
            waiting = 0.0
        if connection.supports_heartbeats:
            connection.heartbeat_check()

    def _finish(self, connection: Connection) -> None:
        """What was handed out is settled as well: given back, it would count against the delivery limit."""
        if self._stop.is_set() or any(lane.inbox for lane in self._lanes):
            for lane in self._lanes:
                while lane.inbox and not lane.is_pausing and not self._stop.hurried:
                    lane.settle()
                lane.clear()
            broker.let_acks_arrive(connection)

    def _has_room(self) -> bool:
        return all(lane.is_pausing or lane.size < BATCH_BYTES for lane in self._lanes)

    def _say_consuming(self) -> None:
        self._reachability.found()
        if not self._is_ready:
            self._is_ready = True
            process.mark_ready()
            logger.info("consumer.ready", extra={"queues": [lane.queue.name for lane in self._lanes]})


class _Pause:
    """Pauses that grow from half a second to ten."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._seconds, self._until = 0.5, 0.0

    def begin(self) -> None:
        self._until = time.monotonic() + self._seconds
        self._seconds = min(self._seconds * 2, LONGEST_PAUSE)

    @property
    def left(self) -> float:
        """Seconds."""
        return max(0.0, self._until - time.monotonic())


class _Lane:
    """A queue, what came from it and is not settled, and the pause after a batch that could not be made safe."""

    def __init__(self, queue: Queue, handle: Handle) -> None:
        self.queue = queue
        self.inbox: list[Message] = []
        self.size = 0  # bytes in the inbox
        self._handle = handle
        self._pause = _Pause()

    def consumer(self, channel: Any) -> Consumer:
        return Consumer(
            channel,
            [self.queue],
            on_message=self._receive,
            on_decode_error=lambda message, _: self._receive(message),
            prefetch_count=PREFETCH,
            auto_declare=False,
        )

    @property
    def is_pausing(self) -> bool:
        return self._pause.left > 0

    @property
    def patience(self) -> float:
        """Seconds this lane can wait for messages."""
        return min(self._pause.left, IDLE) if self.inbox else IDLE

    def settle(self) -> None:
        """Have the next batch made safe; what is safe is acknowledged, the rest tried again after all others."""
        if not self.inbox or self.is_pausing:
            return
        batch, self.inbox[:] = self.inbox[:BATCH], self.inbox[BATCH:]
        unsafe = self._handle(batch)
        kept = {id(message) for message in unsafe}
        for message in batch:
            if id(message) not in kept:
                message.ack()
        self.inbox += unsafe
        self.size = sum(len(message.body) for message in self.inbox)
        if unsafe:
            self._pause.begin()
        else:
            self._pause.reset()

    def clear(self) -> None:
        self.inbox.clear()
        self.size = 0

    def _receive(self, message: Message) -> None:
        self.inbox.append(message)
        self.size += len(message.body)


def _drain(connection: Connection, seconds: float) -> bool:
    """Take in what arrives within *seconds*; whether anything did."""
    try:
        connection.drain_events(timeout=seconds)
    except TimeoutError:
        return False
    return True
