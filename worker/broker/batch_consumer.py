"""The consuming loop that intake and recorder share: take a batch, make it safe, acknowledge it."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from amqp.exceptions import ConsumerCancelled
from kombu import Connection, Queue

from worker import broker, process
from worker.broker import pyamqp, topology
from worker.broker.availability import BrokerAvailability, log_cancelled
from worker.broker.publication import BROKER_ERRORS
from worker.broker.queue_batch import BATCH_SIZE, Backoff, Begin, QueueBatch
from worker.observability.health import CONNECT_TIME, OF_PROCESS

logger = logging.getLogger(__name__)

MAX_BUFFERED_BYTES: Final = 8 * 1_048_576  # of each queue: messages that are far too large are not buffered by hundreds
RECONSUME_AFTER: Final = 10.0  # seconds without a message, after which RabbitMQ is asked anew for what is there


class BatchConsumer:
    """Consumes *queues* until *stop* is set, whatever happens to the broker; one batch of each a round, in that order.

    So a message waits for what is before it in its own queue, and for one batch of each other queue. *begin* makes a
    batch safe, as far as that needs no waiting. Where more messages are there already, *ahead* batches are begun
    before the first one is waited for; none is while anything fails. What is not safe stays unacknowledged and is
    begun again after a backoff, so nothing is lost while what *begin* writes to is away, and no delivery count is
    spent.

    A batch has BATCH_SIZE messages at most, and no more than were begun in *batch_seconds* of CPU at the last one's
    speed.

    A queue is worked on for *head_start* seconds, if it holds as much, before the next one gets its batch. *between* is
    called between two rounds and must be quick; *caught_up* likewise, while no queue waits with what was not safe.
    """

    def __init__(  # noqa: PLR0913 - the last are options
        self,
        connect: Callable[[], Connection],
        queues: Sequence[Queue],
        providers: Sequence[str],
        begin: Begin,
        stop: process.Stop,
        *,
        ahead: int = 0,
        head_start: float = 0.0,
        batch_seconds: float = math.inf,
        between: Callable[[Connection], None] = lambda _: None,
        caught_up: Callable[[], None] = lambda: None,
    ) -> None:
        self._connect, self._providers, self._stop = connect, providers, stop
        self._ahead, self._head_start, self._between, self._caught_up = ahead, head_start, between, caught_up
        self._batches = [QueueBatch(queue, begin, batch_seconds) for queue in queues]
        self._under_way: deque[QueueBatch] = deque()  # of each batch that is begun and not complete, its queue
        self._availability = BrokerAvailability()
        self._is_ready = False
        self._must_declare = True  # on a new connection, and when a queue may be gone

    def run(self) -> None:
        """Consume until stopped. A broker that is away is logged once, and waited for."""
        backoff = Backoff()
        while not self._stop.is_set():
            OF_PROCESS.beat(CONNECT_TIME)
            try:
                with self._connect() as connection:
                    self._consume(connection, backoff)
            except BROKER_ERRORS as error:
                OF_PROCESS.not_consuming(f"the broker is away or refuses us ({type(error).__name__})")
                self._availability.lost(error)
                self._under_way.clear()
                for batch in self._batches:
                    batch.clear()  # the broker delivers again what was not acknowledged
                backoff.begin()
                self._stop.wait(backoff.left)

    def _consume(self, connection: Connection, backoff: Backoff) -> None:
        connection.connect()
        if topology.delays_by_topology(connection):
            pyamqp.read_ahead(connection.connection.transport)
        self._must_declare = True
        while not self._stop.is_set():
            self._declare(connection)
            with contextlib.ExitStack() as consuming:
                channel = connection.channel()
                channel.auto_decode = False  # else py-amqp makes text of a body, by whatever coding a producer names
                for batch in self._batches:
                    consuming.enter_context(batch.consumer(channel))
                self._mark_ready()
                backoff.reset()
                self._work(connection)
            self._finish(connection, channel)
            channel.close()

    def _declare(self, connection: Connection) -> None:
        if self._must_declare:
            topology.declare(connection, self._providers)
            OF_PROCESS.topology_seen()
        self._must_declare = False

    def _mark_ready(self) -> None:
        OF_PROCESS.consuming()
        self._availability.found()
        if not self._is_ready:
            self._is_ready = True
            process.mark_ready()
            logger.info("consumer.ready", extra={"queues": [batch.queue.name for batch in self._batches]})

    def _work(self, connection: Connection) -> None:
        """Fill and settle until stopped or cancelled, or until RECONSUME_AFTER has passed without a message.

        When a queue is deleted and declared again at once, RabbitMQ moves its consumers to the new queue by itself,
        with the message count of the old one. So as many new messages count as delivered and are not: they wait until
        the channel ends. No error says so, and the consumer is still counted (seen with 3.10.8).
        """
        is_rabbitmq, last_at = topology.delays_by_topology(connection), time.monotonic()
        while not self._stop.is_set() and not (is_rabbitmq and time.monotonic() >= last_at + RECONSUME_AFTER):
            OF_PROCESS.beat()
            self._fill(connection)
            if self._must_declare:
                return
            if any(batch.inbox for batch in self._batches):
                last_at = time.monotonic()
            else:
                OF_PROCESS.active()
            if not any(batch.is_due for batch in self._batches):
                self._complete()
            for batch in self._batches[:-1]:
                self._work_ahead(batch, connection)
            for batch in self._batches:
                self._settle(batch)
            if not self._under_way and not any(batch.is_failing for batch in self._batches):
                self._caught_up()
            self._between(connection)
            self._availability.look()

    def _work_ahead(self, batch: QueueBatch, connection: Connection) -> None:
        """Settle what a queue holds, but for its last batch, as long as it has a head start of those after it."""
        until = time.monotonic() + self._head_start
        while len(batch.inbox) > BATCH_SIZE and not batch.is_backing_off and time.monotonic() < until:
            self._settle(batch)
            self._fill(connection)

    def _settle(self, batch: QueueBatch) -> None:
        """Begin the next batch of a queue, and complete those that were begun before."""
        if batch.is_due:
            batch.begin()
            self._under_way.append(batch)
            self._complete(but=0 if any(each.is_failing for each in self._batches) else self._ahead)

    def _complete(self, but: int = 0) -> None:
        """Complete the batches under way, *but* for the last ones."""
        while len(self._under_way) > but:
            if self._under_way.popleft().complete():
                OF_PROCESS.active()
            OF_PROCESS.beat()

    def _fill(self, connection: Connection) -> None:
        """Wait for a first message or the end of a backoff, then take what is there, without waiting for more."""
        timeout = 0.0 if self._under_way else min(batch.fill_timeout for batch in self._batches)
        while all(batch.is_backing_off or batch.size < MAX_BUFFERED_BYTES for batch in self._batches):
            try:
                connection.drain_events(timeout=timeout)
            except TimeoutError:
                break
            except ConsumerCancelled as cancelled:
                OF_PROCESS.not_consuming("the broker cancelled a consumer")
                log_cancelled(cancelled)
                self._must_declare = True
                break
            timeout = 0.0
        if connection.supports_heartbeats:
            connection.heartbeat_check()

    def _finish(self, connection: Connection, channel: Any) -> None:
        """Settle what was delivered as well: up to RabbitMQ 4.2 it counts, requeued, against the delivery limit."""
        if self._stop.is_set():
            OF_PROCESS.not_consuming("the process stops")
        if self._stop.is_set() or self._must_declare or self._under_way or any(batch.inbox for batch in self._batches):
            for batch in self._batches:
                while batch.is_due and not self._stop.hurried:
                    self._settle(batch)
            self._complete()
            for batch in self._batches:
                batch.clear()
            broker.give_back(channel)
            broker.let_acks_arrive(connection)
