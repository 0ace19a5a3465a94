"""The consuming loop that intake and recorder share: take a batch, make it safe, acknowledge it."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from kombu import Connection, Consumer, Queue

from worker import broker, process
from worker.broker import pyamqp, topology
from worker.broker.availability import BrokerAvailability
from worker.broker.publication import BROKER_ERRORS

if TYPE_CHECKING:
    from kombu.message import Message

logger = logging.getLogger(__name__)

BATCH_SIZE: Final = 100  # messages
MAX_BUFFERED_BYTES: Final = 8 * 1_048_576  # of each queue: messages that are far too large are not buffered by hundreds
PREFETCH: Final = 4 * BATCH_SIZE  # of each queue
IDLE_TIMEOUT: Final = 1.0  # seconds to wait for a first message, until the connection is looked after
MIN_BACKOFF, MAX_BACKOFF = 0.5, 10.0  # seconds between two tries at something that fails
RECONSUME_AFTER: Final = 10.0  # seconds without a message, after which RabbitMQ is asked anew for what is there

Handle = Callable[[Sequence["Message"]], Sequence["Message"]]


class BatchConsumer:
    """Consumes *queues* until *stop* is set, whatever happens to the broker; one batch of each a round, in that order.

    So a message waits for what is before it in its own queue, and for one batch of each other queue. *handle* makes a
    batch safe and returns the messages that are not: they stay unacknowledged and are handed to it again after a
    backoff, so nothing is lost while what it writes to is away, and no delivery count is spent.

    A queue is worked on for *head_start* seconds, if it holds as much, before the next one gets its batch. *between* is
    called between two rounds and must be quick; *caught_up* likewise, while no queue waits with what *handle* returned.
    """

    def __init__(  # noqa: PLR0913 - the last are options
        self,
        connect: Callable[[], Connection],
        queues: Sequence[Queue],
        providers: Sequence[str],
        handle: Handle,
        stop: process.Stop,
        *,
        head_start: float = 0.0,
        between: Callable[[Connection], None] = lambda _: None,
        caught_up: Callable[[], None] = lambda: None,
    ) -> None:
        self._connect, self._providers, self._stop = connect, providers, stop
        self._head_start, self._between, self._caught_up = head_start, between, caught_up
        self._batches = [_QueueBatch(queue, handle) for queue in queues]
        self._availability = BrokerAvailability()
        self._is_ready = False

    def run(self) -> None:
        """Consume until stopped. A broker that is away is logged once, and waited for."""
        backoff = _Backoff()
        while not self._stop.is_set():
            try:
                with self._connect() as connection:
                    self._consume(connection, backoff)
            except BROKER_ERRORS as error:
                self._availability.lost(error)
                for batch in self._batches:
                    batch.clear()  # the broker delivers again what was not acknowledged
                backoff.begin()
                self._stop.wait(backoff.left)

    def _consume(self, connection: Connection, backoff: _Backoff) -> None:
        connection.connect()
        if topology.delays_by_topology(connection):
            pyamqp.read_ahead(connection.connection.transport)
        topology.declare(connection, self._providers)
        while not self._stop.is_set():
            with contextlib.ExitStack() as consuming:
                channel = connection.channel()
                channel.auto_decode = False  # else py-amqp makes text of a body, by whatever coding a producer names
                for batch in self._batches:
                    consuming.enter_context(batch.consumer(channel))
                self._mark_ready()
                backoff.reset()
                self._work(connection)
            self._finish(connection)
            channel.close()

    def _mark_ready(self) -> None:
        self._availability.found()
        if not self._is_ready:
            self._is_ready = True
            process.mark_ready()
            logger.info("consumer.ready", extra={"queues": [batch.queue.name for batch in self._batches]})

    def _work(self, connection: Connection) -> None:
        """Fill and settle until stopped, or until RECONSUME_AFTER has passed without a message.

        When a queue is deleted and declared again at once, RabbitMQ moves its consumers to the new queue by itself,
        with the message count of the old one. So as many new messages count as delivered and are not: they wait until
        the channel ends. No error says so, and the consumer is still counted (seen with 3.10.8).
        """
        is_rabbitmq, last_at = topology.delays_by_topology(connection), time.monotonic()
        while not self._stop.is_set() and not (is_rabbitmq and time.monotonic() >= last_at + RECONSUME_AFTER):
            self._fill(connection)
            if any(batch.inbox for batch in self._batches):
                last_at = time.monotonic()
            for batch in self._batches[:-1]:
                self._work_ahead(batch, connection)
            for batch in self._batches:
                batch.settle()
            if not any(batch.is_failing for batch in self._batches):
                self._caught_up()
            self._between(connection)
            self._availability.look()

    def _work_ahead(self, batch: _QueueBatch, connection: Connection) -> None:
        """Settle what a queue holds, but for its last batch, as long as it has a head start of those after it."""
        until = time.monotonic() + self._head_start
        while len(batch.inbox) > BATCH_SIZE and not batch.is_backing_off and time.monotonic() < until:
            batch.settle()
            self._fill(connection)

    def _fill(self, connection: Connection) -> None:
        """Wait for a first message or the end of a backoff, then take what is there, without waiting for more."""
        timeout = min(batch.fill_timeout for batch in self._batches)
        while self._has_room() and _drain(connection, timeout):
            timeout = 0.0
        if connection.supports_heartbeats:
            connection.heartbeat_check()

    def _finish(self, connection: Connection) -> None:
        """Settle what was delivered as well: requeued, it would count against the delivery limit."""
        if self._stop.is_set() or any(batch.inbox for batch in self._batches):
            for batch in self._batches:
                while batch.inbox and not batch.is_backing_off and not self._stop.hurried:
                    batch.settle()
                batch.clear()
            broker.let_acks_arrive(connection)

    def _has_room(self) -> bool:
        return all(batch.is_backing_off or batch.size < MAX_BUFFERED_BYTES for batch in self._batches)


class _Backoff:
    """Pauses that double from MIN_BACKOFF to MAX_BACKOFF."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._seconds, self._until = MIN_BACKOFF, 0.0

    def begin(self) -> None:
        self._until = time.monotonic() + self._seconds
        self._seconds = min(self._seconds * 2, MAX_BACKOFF)

    @property
    def left(self) -> float:
        """Seconds."""
        return max(0.0, self._until - time.monotonic())


class _QueueBatch:
    """A queue, what came from it and is not settled, and the backoff after a batch that could not be made safe."""

    def __init__(self, queue: Queue, handle: Handle) -> None:
        self.queue = queue
        self.inbox: list[Message] = []
        self.size = 0  # bytes in the inbox
        self.is_failing = False  # from the first message that could not be made safe until none of them is left
        self._handle = handle
        self._backoff = _Backoff()
        self._unsafe: set[int] = set()  # ids of such messages in the inbox

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
    def is_backing_off(self) -> bool:
        return self._backoff.left > 0

    @property
    def fill_timeout(self) -> float:
        """Seconds that this queue can wait for messages."""
        return min(self._backoff.left, IDLE_TIMEOUT) if self.inbox else IDLE_TIMEOUT

    def settle(self) -> None:
        """Have the next batch made safe; acknowledge what is safe, and try the rest again after all others."""
        if not self.inbox or self.is_backing_off:
            return
        batch, self.inbox[:] = self.inbox[:BATCH_SIZE], self.inbox[BATCH_SIZE:]
        unsafe = self._handle(batch)
        kept = {id(message) for message in unsafe}
        pyamqp.acknowledge([message for message in batch if id(message) not in kept])
        self.inbox += unsafe
        self._unsafe = (self._unsafe - {id(message) for message in batch}) | kept
        self.is_failing = bool(unsafe) or (self.is_failing and bool(self._unsafe))
        self.size = sum(len(message.body) for message in self.inbox)
        if unsafe:
            self._backoff.begin()
        else:
            self._backoff.reset()

    def clear(self) -> None:
        self.inbox.clear()
        self._unsafe.clear()
        self.size = 0

    def _receive(self, message: Message) -> None:
        self.inbox.append(message)
        self.size += len(message.body)


def _drain(connection: Connection, seconds: float) -> bool:
    """Receive what arrives within *seconds*; whether anything did."""
    try:
        connection.drain_events(timeout=seconds)
    except TimeoutError:
        return False
    return True
