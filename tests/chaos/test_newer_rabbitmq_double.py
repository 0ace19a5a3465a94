"""The double of RabbitMQ 4.3 before a real, older one: it does what it says, and a message passes whole."""

from collections.abc import Callable, Iterator

import pytest
from amqp.exceptions import ConsumerCancelled, InternalError, PreconditionFailed
from amqp.spec import Basic
from kombu import Connection, Consumer, Queue
from kombu.message import Message
from servers import RabbitNode, wait_until

from chaos.newer_rabbitmq import NewerRabbitMQ
from worker import broker

WORK = Queue("work", queue_arguments={"x-queue-type": "quorum"})
BODIES = [b"small", b"\xce" * 300_000]  # the second in several frames, and full of what ends one


@pytest.fixture
def newer(request: pytest.FixtureRequest, rabbitmq: RabbitNode) -> Iterator[NewerRabbitMQ]:
    """The double; it answers late acknowledgements as the broker behind it does, where the test asks for that."""
    with NewerRabbitMQ(rabbitmq.port, refuses_late=getattr(request, "param", False)) as double:
        yield double


@pytest.fixture
def connection(newer: NewerRabbitMQ, rabbitmq_vhost: str) -> Iterator[Connection]:
    """A client of the double."""
    with broker.connect(f"amqp://guest:guest@127.0.0.1:{newer.port}/{rabbitmq_vhost}") as made:
        yield made


def held(connection: Connection) -> list[Message]:
    """BODIES, as a consumer of WORK holds them."""
    channel, arrived = connection.channel(), list[Message]()
    WORK(channel).declare()
    for body in BODIES:
        connection.Producer(channel).publish(body, routing_key=WORK.name, content_encoding="binary")
    Consumer(channel, [WORK], on_message=arrived.append).consume()
    while len(arrived) < len(BODIES):
        connection.drain_events(timeout=5)
    assert [message.body for message in arrived] == BODIES
    return arrived


def waiting(rabbitmq: RabbitNode, vhost: str) -> Callable[[], bool]:
    """Whether all of BODIES wait in the queue."""
    return lambda: rabbitmq.queue_counts(vhost)[WORK.name].ready == len(BODIES)


def test_a_consumer_that_times_out_is_cancelled_and_its_messages_go_back(
    newer: NewerRabbitMQ, connection: Connection, rabbitmq: RabbitNode, rabbitmq_vhost: str
) -> None:
    """The channel stays, and a late acknowledgement changes nothing."""
    arrived = held(connection)
    assert newer.time_out(WORK.name) == len(BODIES)
    with pytest.raises(ConsumerCancelled):
        connection.drain_events(timeout=5)
    wait_until(waiting(rabbitmq, rabbitmq_vhost), 5, "the messages to be back")
    arrived[0].ack()
    assert WORK(arrived[0].channel).queue_declare(passive=True).message_count == len(BODIES)
    assert newer.time_out(WORK.name) == 0


@pytest.mark.parametrize("newer", [True], indirect=True)
def test_a_late_acknowledgement_may_close_the_channel(newer: NewerRabbitMQ, connection: Connection) -> None:
    """As any unknown delivery tag does."""
    arrived = held(connection)
    newer.time_out(WORK.name)
    with pytest.raises(ConsumerCancelled):
        connection.drain_events(timeout=5)
    arrived[0].ack()
    with pytest.raises(PreconditionFailed, match="unknown delivery tag"):
        connection.drain_events(timeout=5)


def test_a_queue_that_is_neither_durable_nor_exclusive_ends_the_connection(
    newer: NewerRabbitMQ, connection: Connection
) -> None:
    """Any other may be declared, and who asks only whether there is one says nothing of it."""
    WORK(connection.channel()).declare()
    channel = connection.channel()
    channel.queue_declare("mine", exclusive=True)
    channel.queue_declare(WORK.name, passive=True)
    with pytest.raises(InternalError, match="transient_nonexcl_queues"):
        channel.queue_declare("nobody's", durable=False, exclusive=False)
    assert list(newer.declared()) == [("work", True), ("mine", True), ("work", True), ("nobody's", False)]


def test_what_clients_say_is_noted(newer: NewerRabbitMQ, connection: Connection) -> None:
    """A message that is given back is no failed try, and one that is rejected is."""
    arrived = held(connection)
    arrived[0].requeue()
    arrived[1].reject()
    connection.channel()  # the broker has heard both by its answer
    assert [(each.name, each.arguments) for each in newer.said if each.name in (Basic.Nack, Basic.Reject)] == [
        (Basic.Nack, (1, False, True)),
        (Basic.Reject, (2, False)),
    ]
