"""Frames of a real RabbitMQ, read many at a time."""

import select
from collections.abc import Callable, Iterator

import pytest
from kombu import Connection, Consumer
from kombu.message import Message as Delivered
from servers import RabbitNode, wait_until

from tasks.call import Lane
from worker import broker
from worker.broker import topology
from worker.broker.publisher import Message, Publisher
from worker.engine.frames import AT_ONCE, FrameReader

QUEUE = topology.calls_queue("genesys", Lane.ROUTINE)
SIZES = [0, 1, 100, AT_ONCE - 1, AT_ONCE, 3 * AT_ONCE, 400_000, *([200] * 300)]  # bytes; a frame has 131 072 at most
BODIES = [bytes([number % 251]) * size for number, size in enumerate(SIZES)]


@pytest.fixture
def connection(rabbitmq_url: str) -> Iterator[Connection]:
    """A connection to a broker that holds the bodies."""
    with broker.connect(rabbitmq_url) as made:
        topology.declare(made, ["genesys"])
        with Publisher(lambda: broker.connect(rabbitmq_url)) as publisher:
            publisher.publish_all([Message(topology.CALLS.name, "genesys.routine", body) for body in BODIES])
        yield made


def read_until(connection: Connection, done: Callable[[], bool]) -> None:
    """Read as a loop does: when the socket is readable."""
    amqp = connection.connection
    reader = FrameReader(amqp)

    def step() -> bool:
        if select.select([amqp.sock], [], [], 0.2)[0]:
            reader.read()
        return done()

    wait_until(step, 20, "everything to be read")


def body(message: Delivered) -> bytes:
    """What was published."""
    return bytes(message.body if isinstance(message.body, bytes) else message.body.encode())


def test_every_message_is_read_whole_and_in_order(connection: Connection) -> None:
    """However the broker cuts them into frames, and the network into packets."""
    arrived: list[bytes] = []
    consumer = Consumer(connection.channel(), [QUEUE], on_message=lambda each: arrived.append(body(each)), no_ack=True)
    consumer.consume()
    read_until(connection, lambda: len(arrived) == len(BODIES))
    assert arrived == BODIES


def test_whoever_waits_for_an_answer_amid_a_read_loses_nothing(connection: Connection) -> None:
    """py-amqp reads on by itself then, from where the reader stopped."""
    arrived: list[bytes] = []

    def take(message: Delivered) -> None:
        arrived.append(body(message))
        if len(arrived) % 50 == 0:
            message.channel.basic_qos(0, 1000, a_global=False)

    Consumer(connection.channel(), [QUEUE], on_message=take, no_ack=True).consume()
    read_until(connection, lambda: len(arrived) == len(BODIES))
    assert sorted(arrived) == sorted(BODIES)


def test_a_broker_that_goes_away_is_an_error_of_the_connection(private_rabbitmq: RabbitNode) -> None:
    """Which the consumer knows how to end: it connects anew."""
    with broker.connect(private_rabbitmq.url()) as connection:
        connection.connect()
        private_rabbitmq.kill9()
        with pytest.raises(connection.connection_errors):
            read_until(connection, lambda: False)
        connection.collect()


def test_bytes_that_are_no_frame_are_an_error_of_the_connection(connection: Connection) -> None:
    """Nobody guesses where the next frame begins."""
    Consumer(connection.channel(), [QUEUE]).consume()
    connection.connection.transport._read_buffer = bytes(8)
    with pytest.raises(connection.connection_errors, match="without an end"):
        read_until(connection, lambda: False)
    connection.collect()
