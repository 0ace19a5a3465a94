"""What a task has to say when a queue is full or missing: it is asked again, and nothing else goes out twice."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from kombu import Connection, Exchange, Producer, Queue
from loop_thread import LoopThread
from provider_calls import session_call
from servers import wait_until

from tasks.call import ProviderCall
from worker import broker
from worker.broker import retrying_publisher, topology
from worker.broker.async_publisher import AsyncPublisher
from worker.broker.publication import Message, Refused, Unroutable
from worker.broker.retrying_publisher import RetryingPublisher

FULL = Queue(
    "full", Exchange("full", type="topic"), "f", queue_arguments={"x-max-length": 1, "x-overflow": "reject-publish"}
)
REFUSED = Message("full", "f", b"one too many")
GOOD = Message(topology.CALLS.name, "genesys.routine", b"x")
CALLS = "revocation.calls.genesys.routine"
CALL = session_call("opened", jwe="a.b.c.d.e")
PLACES = 4  # calls in flight; so two may ask again


class Retrying:
    """The outbox on a loop of its own."""

    def __init__(self, loop: LoopThread, outbox: RetryingPublisher) -> None:
        self._loop, self._outbox = loop, outbox
        self._threads = ThreadPoolExecutor(4)

    def begin(self, *messages: Message, of: ProviderCall | None = CALL) -> "Future[None]":
        """Publish them, in the background."""
        return self._threads.submit(self._loop.run, self._outbox.publish(*messages, of=of))

    def stop(self) -> None:
        """As a worker does that stops."""
        self._loop.soon(self._outbox.stop)


@pytest.fixture
def retrying(rabbitmq_url: str) -> Iterator[Retrying]:
    """The outbox on an event loop, on a broker with a queue that is full."""
    with broker.connect(rabbitmq_url) as connection:
        topology.declare(connection, ["genesys"])
        FULL(connection.channel()).declare()
        Producer(connection).publish(b"1", exchange="full", routing_key="f")
        wait_until(lambda: count(connection, "full") == 1)
    quick = patch.multiple(retrying_publisher, FIRST_PAUSE=0.05, MAX_PAUSE=0.2)
    with quick, opened(lambda: broker.connect(rabbitmq_url)) as made:
        yield made


@contextmanager
def opened(connect: Callable[[], Connection]) -> Iterator[Retrying]:
    """The outbox in a loop's thread."""

    async def make() -> RetryingPublisher:
        return RetryingPublisher(AsyncPublisher(connect), lambda _: PLACES)

    with LoopThread() as loop:
        outbox = loop.run(make())
        try:
            yield Retrying(loop, outbox)
        finally:
            loop.run(outbox.close())


def count(connection: Connection, queue: str) -> int:
    """How many messages are ready in *queue*."""
    ready: int = Queue(queue)(connection.channel()).queue_declare(passive=True).message_count
    return ready


def said(caplog: pytest.LogCaptureFixture, event: str) -> int:
    """How often it was said."""
    return sum(record.message == event for record in caplog.records)


def test_a_full_queue_is_asked_until_it_takes_the_message(
    retrying: Retrying, rabbitmq_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The message beside it goes out once; that it was refused is said once, and that it is taken again."""
    caplog.set_level(logging.INFO)
    first, second = retrying.begin(GOOD, REFUSED), retrying.begin(REFUSED)
    with broker.connect(rabbitmq_url) as connection:
        wait_until(lambda: count(connection, CALLS) == 1)
        wait_until(lambda: said(caplog, "publish.refused") > 0)
        with pytest.raises(TimeoutError):
            second.result(1)
        assert not first.done()
        connection.channel().queue_purge("full")
        wait_until(lambda: first.done() or second.done())
        wait_until(lambda: connection.channel().queue_purge("full") >= 0 and first.done() and second.done())
        assert first.exception() is None
        assert second.exception() is None
        assert count(connection, CALLS) == 1
    assert said(caplog, "publish.taken_again") >= 1
    assert said(caplog, "publish.refused") - said(caplog, "publish.taken_again") in (0, 1)


def test_a_missing_queue_is_asked_for_likewise(retrying: Retrying, rabbitmq_url: str) -> None:
    """It is declared again, and the message arrives."""
    with broker.connect(rabbitmq_url) as connection:
        connection.channel().queue_delete(CALLS)
        waiting = retrying.begin(GOOD)
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        topology.declare(connection, ["genesys"])
        waiting.result(10)
        wait_until(lambda: count(connection, CALLS) == 1)


def test_a_worker_that_stops_asks_no_more(retrying: Retrying) -> None:
    """What waits is told at once, and what comes later at its first refusal: the broker keeps the call."""
    with patch.object(retrying_publisher, "FIRST_PAUSE", 60.0):
        waiting = retrying.begin(REFUSED)
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        retrying.stop()
        with pytest.raises(Refused):
            waiting.result(10)
        with pytest.raises(Unroutable):
            retrying.begin(Message("no.such.exchange", "x", b"x")).result(10)


def test_nobody_asks_for_ever(retrying: Retrying) -> None:
    """The broker would take back a message that stays unacknowledged for too long."""
    with patch.object(retrying_publisher, "RETRY_TIMEOUT", 0.3), pytest.raises(Refused):
        retrying.begin(REFUSED).result(10)


def test_half_the_places_of_a_lane_go_on(retrying: Retrying) -> None:
    """Whoever comes when half of them ask again is told at once, and so is whoever tells of no call."""
    with patch.object(retrying_publisher, "FIRST_PAUSE", 60.0):
        waiting = [retrying.begin(REFUSED) for _ in range(2)]
        with pytest.raises(TimeoutError):
            waiting[0].result(1)
        for told in (retrying.begin(REFUSED), retrying.begin(REFUSED, of=None)):
            with pytest.raises(Refused):
                told.result(10)
        retrying.stop()
        for each in waiting:
            with pytest.raises(Refused):
                each.result(10)
        with pytest.raises(Refused):
            retrying.begin(REFUSED).result(10)


def test_patience_ends_before_the_broker_takes_the_message_back() -> None:
    """RabbitMQ's consumer timeout is 30 minutes."""
    assert retrying_publisher.RETRY_TIMEOUT + retrying_publisher.MAX_PAUSE < 30 * 60
