"""Acknowledgements of one turn leave in one write, and none of them waits longer than that."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from amqp.exceptions import NotFound
from kombu import Connection, Consumer
from kombu.message import Message as Delivered
from servers import RabbitNode, wait_until

from tasks.call import Lane
from worker import broker
from worker.broker import topology
from worker.broker.publication import Message
from worker.broker.publisher import Publisher
from worker.engine.consumer import Acks

QUEUE = topology.calls_queue("genesys", Lane.ROUTINE)
COUNT = 30
ACK_SIZE = 21  # bytes of a frame: type, channel, size, class, method, delivery tag, `multiple`, end


@contextmanager
def delivered(url: str) -> Iterator[tuple[Connection, list[Delivered]]]:
    """A connection, and messages on it that wait for their acknowledgement."""
    with broker.connect(url) as connection:
        topology.declare(connection, ["genesys"])
        with Publisher(lambda: broker.connect(url)) as publisher:
            publisher.publish_all([Message(topology.CALLS.name, "genesys.routine", b"{}")] * COUNT)
        arrived: list[Delivered] = []
        Consumer(connection.channel(), [QUEUE], on_message=arrived.append).consume()
        while len(arrived) < COUNT:
            connection.drain_events(timeout=5)
        yield connection, arrived


def settle(connection: Connection, messages: list[Delivered]) -> None:
    """Acknowledge all, in one turn of a loop."""

    async def turn() -> None:
        acks = Acks(asyncio.get_running_loop(), lambda: connection.connection)
        for message in messages:
            acks.add(message.ack)
        await asyncio.sleep(0)

    asyncio.run(turn())


def left(rabbitmq: RabbitNode, vhost: str) -> int:
    """How many messages the broker still has."""
    return sum(count.total for count in rabbitmq.queue_counts(vhost).values())


def test_a_turns_acknowledgements_are_one_write(
    rabbitmq: RabbitNode, rabbitmq_vhost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the broker takes every one of them."""
    with delivered(rabbitmq.url(rabbitmq_vhost)) as (connection, messages):
        transport = connection.connection.transport
        write, written = transport._write, list[bytes]()

        def listen(data: bytes) -> None:
            written.append(data)
            write(data)

        monkeypatch.setattr(transport, "_write", listen)
        settle(connection, messages)
        assert [len(each) for each in written] == [ACK_SIZE]
        assert transport._write is listen
        wait_until(lambda: left(rabbitmq, rabbitmq_vhost) == 0, 10, "every message to be gone")


def test_one_that_is_in_hand_is_not_acknowledged_with_those_above_it(rabbitmq: RabbitNode, rabbitmq_vhost: str) -> None:
    """Nor on a channel that the broker closed, and that opened again with new numbers."""
    with delivered(rabbitmq.url(rabbitmq_vhost)) as (connection, messages):
        settle(connection, messages[:5] + messages[6:])
        wait_until(lambda: left(rabbitmq, rabbitmq_vhost) == 1, 10, "all but one to be gone")
        channel = messages[0].channel
        with pytest.raises(NotFound):
            channel.queue_declare("there is none", passive=True)
        again = [QUEUE(channel).get()]  # the one that is left; it has the first number now
        with Publisher(lambda: broker.connect(rabbitmq.url(rabbitmq_vhost))) as publisher:
            publisher.publish_all([Message(topology.CALLS.name, "genesys.routine", b"{}")])
        again.append(QUEUE(channel).get())
        assert [each.delivery_tag for each in again] == [1, 2]
        settle(connection, again[1:])
        wait_until(lambda: left(rabbitmq, rabbitmq_vhost) == 1, 10, "the second to be gone")
        again[0].ack()
        wait_until(lambda: left(rabbitmq, rabbitmq_vhost) == 0, 10, "the first to be gone")


def test_one_that_fails_keeps_back_no_other(
    rabbitmq: RabbitNode, rabbitmq_vhost: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said, and the others are acknowledged."""
    with delivered(rabbitmq.url(rabbitmq_vhost)) as (connection, messages):
        messages[0].ack()  # a second time is an error
        settle(connection, messages)
        wait_until(lambda: left(rabbitmq, rabbitmq_vhost) == 0, 10, "every message to be gone")
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == ["acks.fault"]


def test_a_connection_that_broke_is_no_crash(private_rabbitmq: RabbitNode, caplog: pytest.LogCaptureFixture) -> None:
    """The consumer finds out by itself, and the broker delivers what it was not told of once more."""
    with delivered(private_rabbitmq.url()) as (connection, messages):
        private_rabbitmq.kill9()
        for _ in range(2):  # the first write may still be taken, by the kernel
            settle(connection, messages[:5])
            del messages[:5]
        connection.collect()
        settle(connection, messages)
    assert "acks." in caplog.text
