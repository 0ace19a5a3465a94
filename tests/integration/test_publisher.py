"""The publisher's promise on both brokers: None means safe in the broker, and nothing else does."""

import socket
import time
from collections.abc import Callable

import pytest
from kombu import Connection, Exchange, Queue
from servers import RabbitNode, free_port, wait_until

from tasks.call import Lane
from worker import broker
from worker.broker import topology
from worker.broker.publication import Disconnected, Message, Refused, Unconfirmed, Unroutable
from worker.broker.publisher import AlternatingPublisher, Publisher

FULL = Queue(
    "full", Exchange("f", type="topic"), "f", queue_arguments={"x-max-length": 1, "x-overflow": "reject-publish"}
)


def publisher(url: str, confirm_timeout: float = 10.0) -> Publisher:
    """A publisher to that broker."""
    return Publisher(lambda: broker.connect(url), confirm_timeout)


def message(body: bytes = b"x", key: str = "genesys.routine", delay: int = 0) -> Message:
    """A message for a provider's queue."""
    return Message(topology.CALLS.name, key, body, delay=delay)


@pytest.fixture
def declared(broker_url: str) -> str:
    """The URL of a broker that knows the topology."""
    with broker.connect(broker_url) as connection:
        connection.connect()
        topology.declare(connection, ["genesys"])
    return broker_url


def taken(url: str, queue: Queue, count: int, seconds: float = 10.0) -> list[bytes]:
    """What *queue* holds, at most *count* bodies."""
    with broker.connect(url) as connection:
        bound = queue(connection.channel())
        bodies: list[bytes] = []

        def fetch() -> bool:
            while (got := bound.get(no_ack=True)) is not None:
                bodies.append(bytes(got.body) if not isinstance(got.body, str) else got.body.encode())
            return len(bodies) >= count

        wait_until(fetch, seconds)
        return bodies


def test_a_confirmed_batch_is_in_the_queue_in_order(declared: str) -> None:
    """None for each, and every body can be read back."""
    bodies = [b"%d" % n for n in range(500)]
    with publisher(declared) as line:
        assert line.publish([message(body) for body in bodies]) == [None] * 500
    assert taken(declared, topology.calls_queue("genesys", Lane.ROUTINE), 500) == bodies


def test_a_message_no_queue_takes_fails_alone(declared: str) -> None:
    """A return fails exactly its own message; its neighbours are confirmed."""
    with publisher(declared) as line:
        results = line.publish([message(b"1"), message(b"2", key="nobody.routine"), message(b"3")])
    assert [type(result) for result in results] == [type(None), Unroutable, type(None)]
    assert taken(declared, topology.calls_queue("genesys", Lane.ROUTINE), 2) == [b"1", b"3"]


def test_a_delayed_message_comes_back_to_its_own_queue(declared: str) -> None:
    """The broker keeps it for the whole seconds asked, and then its own lane has it."""
    started = time.monotonic()
    with publisher(declared) as line:
        line.publish_all([message(b"later", key="genesys.urgent", delay=2)])
    assert taken(declared, topology.calls_queue("genesys", Lane.URGENT), 1) == [b"later"]
    assert time.monotonic() - started >= 1.9


def test_a_missing_exchange_is_unroutable(broker_url: str) -> None:
    """Nothing was declared: the failure says so, and the publisher works again once it is."""
    with publisher(broker_url) as line:
        assert isinstance(line.publish([message()])[0], Unroutable)
        with broker.connect(broker_url) as connection:
            topology.declare(connection, ["genesys"])
        assert line.publish([message()]) == [None]


def test_a_broker_that_is_away_is_a_value_not_an_exception() -> None:
    """Nobody listens there: every message fails as disconnected, at once."""
    with publisher(f"amqp://guest:guest@127.0.0.1:{free_port()}//") as line:
        results = line.publish([message(), message()])
    assert all(isinstance(result, Disconnected) for result in results)


def test_a_full_queue_refuses_its_own_message_only(rabbitmq_url: str) -> None:
    """A nack is never taken for an ack, not even by the next publish (the connection is thrown away)."""
    with broker.connect(rabbitmq_url) as connection:
        topology.declare(connection, ["genesys"])
        FULL(connection.channel()).declare()
    with publisher(rabbitmq_url) as line:
        assert line.publish([Message("f", "f", b"1")]) == [None]
        mixed = line.publish([message(b"a"), Message("f", "f", b"2"), message(b"b")])
        assert [type(result) for result in mixed] == [type(None), Refused, type(None)]
        assert [type(result) for result in line.publish([Message("f", "f", b"3"), message(b"c")])] == [
            Refused,
            type(None),
        ]


def test_a_connection_that_died_while_idle_is_replaced(rabbitmq_url: str) -> None:
    """The broker closed it between two publishes: the second goes over a new one."""
    lines: list[Connection] = []

    def connect() -> Connection:
        lines.append(broker.connect(rabbitmq_url))
        return lines[-1]

    with broker.connect(rabbitmq_url) as connection:
        topology.declare(connection, ["genesys"])
    with Publisher(connect) as line:
        line.publish_all([message(b"1")])
        lines[0].connection.transport.sock.shutdown(socket.SHUT_RDWR)
        assert line.publish([message(b"2")]) == [None]
    assert len(lines) == 2


def test_under_a_memory_alarm_a_publish_fails_in_bounded_time(private_rabbitmq: RabbitNode) -> None:
    """RabbitMQ stops reading: no confirm comes, the publish says so, and the next one works when it is over."""
    url = private_rabbitmq.url()
    with broker.connect(url) as connection:
        topology.declare(connection, ["genesys"])
    with publisher(url, confirm_timeout=2) as line:
        private_rabbitmq.raise_memory_alarm()
        started = time.monotonic()
        assert isinstance(line.publish([message()])[0], Unconfirmed)
        assert time.monotonic() - started < 15
        private_rabbitmq.clear_memory_alarm()
        wait_until(_publishes(line), 15)


def _publishes(line: Publisher) -> Callable[[], bool]:
    return lambda: line.publish([message()]) == [None]


ROUTINE, URGENT = (topology.calls_queue("genesys", lane) for lane in (Lane.ROUTINE, Lane.URGENT))


def several(*bodies: bytes, lane: Lane = Lane.ROUTINE) -> list[Message]:
    """Messages for one lane."""
    return [message(body, key=f"genesys.{lane}") for body in bodies]


def alternating(url: str, confirm_timeout: float = 10.0) -> AlternatingPublisher:
    """Two publishers to that broker, the second for what the first is too busy for."""
    return AlternatingPublisher(lambda: broker.connect(url), confirm_timeout)


def opened(line: AlternatingPublisher, *bodies: bytes) -> None:
    """Publish one message over each connection: after that a batch is sent without waiting."""
    for each, body in zip((line._last, line._other), bodies, strict=True):
        assert each.publish(several(body)) == [None]


def test_where_nothing_is_on_its_way_one_connection_serves(declared: str) -> None:
    """The other one would hold on to a broker's file that is gone, and be one more to keep alive."""
    with alternating(declared) as line:
        assert [line.begin(several(body))() for body in (b"1", b"2", b"3")] == [[None]] * 3
        assert line.publish(several(b"4")) == [None]
        assert line._other._channel is None


@pytest.mark.parametrize("last_first", [False, True])
def test_two_batches_are_on_their_way_at_once(declared: str, last_first: bool) -> None:  # noqa: FBT001 - a table
    """Whichever is asked for first, each has its own answers, and every message is there once."""
    with alternating(declared) as line:
        opened(line, b"0", b"00")
        waits = [line.begin(several(b"1", b"2")), line.begin([*several(b"3"), message(b"4", key="nobody.routine")])]
        answers = [wait() for wait in (reversed(waits) if last_first else waits)]
    one, other = reversed(answers) if last_first else answers
    assert (one, [type(each) for each in other]) == ([None, None], [type(None), Unroutable])
    assert sorted(taken(declared, ROUTINE, 5)) == [b"0", b"00", b"1", b"2", b"3"]


@pytest.mark.parametrize("refused_first", [True, False])
def test_a_refusal_spoils_nothing_that_is_on_its_way_beside_it(rabbitmq_url: str, refused_first: bool) -> None:  # noqa: FBT001 - a table
    """The other batch is confirmed, is there once, and the next one goes over a new connection."""
    with broker.connect(rabbitmq_url) as connection:
        topology.declare(connection, ["genesys"])
        FULL(connection.channel()).declare()
    batches = [[Message("f", "f", b"refused")], several(b"1", b"2")]
    with alternating(rabbitmq_url) as line:
        opened(line, b"0", b"00")
        assert line.begin([Message("f", "f", b"fills it")])() == [None]
        waits = [line.begin(batch) for batch in (batches if refused_first else reversed(batches))]
        answers = [wait() for wait in waits]
        refused, confirmed = answers if refused_first else reversed(answers)
        assert ([type(each) for each in refused], confirmed) == ([Refused], [None, None])
        assert [line.begin(several(body))() for body in (b"3", b"4")] == [[None], [None]]
    assert sorted(taken(rabbitmq_url, ROUTINE, 6)) == [b"0", b"00", b"1", b"2", b"3", b"4"]


def test_a_connection_that_breaks_under_two_batches_loses_neither(rabbitmq_url: str) -> None:
    """What of them has no answer goes over the next connection."""
    with broker.connect(rabbitmq_url) as connection:
        topology.declare(connection, ["genesys"])
    with alternating(rabbitmq_url) as line:
        opened(line, b"0", b"00")
        waits = [line.begin(several(b"1", b"2")), line.begin(several(b"3"))]
        for each in (line._last, line._other):
            assert each._channel
            broker.cut(each._channel.connection)
        assert [wait() for wait in waits] == [[None, None], [None]]
    assert {*taken(rabbitmq_url, ROUTINE, 5)} == {b"0", b"00", b"1", b"2", b"3"}


def test_a_broker_that_goes_away_under_two_batches_confirms_neither(private_rabbitmq: RabbitNode) -> None:
    """Neither is taken for confirmed; once the broker is back, both can be published."""
    with broker.connect(private_rabbitmq.url()) as connection:
        topology.declare(connection, ["genesys"])
    with alternating(private_rabbitmq.url(), confirm_timeout=2.0) as line:
        opened(line, b"0", b"00")
        private_rabbitmq.freeze()
        waits = [line.begin(several(b"1", b"2")), line.begin(several(b"3"))]
        private_rabbitmq.kill9()
        assert all(isinstance(each, Unconfirmed) for wait in waits for each in wait())
        private_rabbitmq.start()
        assert line.publish(several(b"1", b"2", b"3")) == [None] * 3
