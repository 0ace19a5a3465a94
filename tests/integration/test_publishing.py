"""What is told of a publish is true, on every way to publish: each failure says what it is and is its own message's."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from amqp.exceptions import MessageNacked
from kombu import Connection, Exchange, Producer, Queue
from outboxes import KINDS, Publishes, publishing
from pausing_relay import PausingRelay
from servers import RabbitNode, free_port, wait_until

from tasks.call import Lane
from worker import broker
from worker.broker import topology
from worker.broker.publication import Disconnected, Message, Refused, Unconfirmed, Unroutable
from worker.broker.publisher import CONFIRM_TIMEOUT

FULL = Queue(
    "full", Exchange("full", type="topic"), "f", queue_arguments={"x-max-length": 1, "x-overflow": "reject-publish"}
)
LONGEST = 15.0  # seconds that a publish may take, whatever the broker does


def good(body: bytes = b"x", delay: int = 0) -> Message:
    """A message for a provider's queue."""
    return Message(topology.CALLS.name, "genesys.routine", body, delay=delay)


REFUSED = Message("full", "f", b"one too many")
LOST = Message(topology.CALLS.name, "nobody.routine", b"x")
NOWHERE = Message("no.such.exchange", "x", b"x")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each way to publish in turn."""
    way: str = request.param
    return way


def declare(url: str) -> None:
    """The topology, and a queue that is full."""
    with broker.connect(url) as connection:
        topology.declare(connection, ["genesys"])
        FULL(connection.channel()).declare()
        Producer(connection).publish(b"1", exchange="full", routing_key="f")
        wait_until(lambda: FULL(connection.channel()).queue_declare(passive=True).message_count == 1)


@pytest.fixture
def declared(rabbitmq_url: str) -> str:
    """A broker that knows them."""
    declare(rabbitmq_url)
    return rabbitmq_url


def told(way: Publishes, messages: Sequence[Message]) -> list[str]:
    """What became of each, by name."""
    return [type(result).__name__ for result in way.publish(messages)]


def test_each_failure_is_its_own_messages(kind: str, declared: str) -> None:
    """Unroutable, refused by a full queue and without an exchange, side by side, again and again; good ones pass."""
    mixed = [good(), LOST, REFUSED, NOWHERE, good(delay=1), LOST, good()]
    expected = ["NoneType", "Unroutable", "Refused", "Unroutable", "NoneType", "Unroutable", "NoneType"]
    with publishing(kind, declared) as way:
        for _ in range(3):
            assert told(way, mixed) == expected
        assert told(way, [NOWHERE, Message("neither.this", "x", b"x"), good()]) == ["Unroutable"] * 2 + ["NoneType"]


def test_records_that_are_published_at_once_are_one_message(kind: str, declared: str) -> None:
    """One confirm answers for all of them, or one refusal."""
    record = Message(topology.OUTCOMES.name, "outcome", b"{}")
    with publishing(kind, declared) as way:
        assert told(way, [record, good(), record, record]) == ["NoneType"] * 4
    with broker.connect(declared) as connection:
        channel = connection.channel()
        queue = topology.OUTCOMES_QUEUE(channel)
        assert queue.queue_declare(passive=True).message_count == 1
        assert queue.get(no_ack=True).body == '{"kind":"records","records":[{},{},{}]}'


@pytest.fixture
def limited(rabbitmq: RabbitNode, rabbitmq_vhost: str, declared: str) -> Iterator[str]:
    """A user who may write to the calls, but not under the keys of finbourne, and to nothing else."""
    name = f"limited-{uuid4().hex[:8]}"
    rabbitmq.control(ADD_USER.replace("$USER", name).replace("$VHOST", rabbitmq_vhost))
    yield declared.replace("guest:guest", f"{name}:password")
    rabbitmq.control(f'rabbit_auth_backend_internal:delete_user(<<"{name}">>, <<"tests">>).')


ADD_USER = r"""
rabbit_auth_backend_internal:add_user(<<"$USER">>, <<"password">>, <<"tests">>),
rabbit_auth_backend_internal:set_permissions(
  <<"$USER">>, <<"$VHOST">>, <<"^$">>, <<"^revocation.calls$">>, <<"^$">>, <<"tests">>),
rabbit_auth_backend_internal:set_topic_permissions(
  <<"$USER">>, <<"$VHOST">>, <<"revocation.calls">>, <<"^(genesys|nobody)">>, <<"^$">>, <<"tests">>).
"""
FORBIDDEN = Message(topology.OUTCOMES.name, "x", b"x")
FORBIDDEN_KEY = Message(topology.CALLS.name, "finbourne.routine", b"x")


def test_what_the_user_may_not_is_its_own_messages_fault(kind: str, limited: str) -> None:
    """By exchange or by routing key, in whatever company: the neighbours pass, and it says who may not what."""
    with publishing(kind, limited) as way:
        for _ in range(2):
            assert told(way, [good(), FORBIDDEN, LOST, good()]) == ["NoneType", "Refused", "Unroutable", "NoneType"]
            assert told(way, [good(), FORBIDDEN_KEY, good()]) == ["NoneType", "Refused", "NoneType"]
        [failure] = way.publish([FORBIDDEN])
    assert str(failure) == "the broker's user may not write to revocation.outcomes (AccessRefused)"


def test_what_is_forbidden_or_missing_costs_no_neighbour_its_confirm(rabbitmq: RabbitNode, limited: str) -> None:
    """The channel ends with it, and what was not yet confirmed would go out once more: so it goes alone."""
    with publishing("blocking", limited) as way:
        for _ in range(5):
            way.publish([good(), FORBIDDEN, good(), NOWHERE, good()])
    vhost = urlsplit(limited).path[1:]
    assert rabbitmq.queue_counts(vhost)["revocation.calls.genesys.routine"].total == 15


def test_a_failure_says_what_it_is(kind: str, declared: str) -> None:
    """In words for an operator, with the names of queue and exchange and nothing of the body."""
    with publishing(kind, declared) as way:
        texts = [str(failure) for failure in way.publish([LOST, REFUSED, NOWHERE])]
    assert texts[0] == "no queue takes nobody.routine from revocation.calls"
    assert "queue is full" in texts[1]
    assert texts[2] == "the exchange no.such.exchange does not exist"


def test_a_queue_that_was_deleted_is_missed_at_once(kind: str, declared: str) -> None:
    """Nothing is "ok" that no queue holds; once it is there again, neither is anything else."""
    with publishing(kind, declared) as way:
        assert told(way, [good()]) == ["NoneType"]
        with broker.connect(declared) as connection:
            connection.channel().queue_delete("revocation.calls.genesys.routine")
        assert told(way, [good()]) == ["Unroutable"]
        declare(declared)
        assert told(way, [good()]) == ["NoneType"]


def test_a_broker_that_is_away_is_said_at_once(kind: str) -> None:
    """Nobody listens there."""
    started = time.monotonic()
    with publishing(kind, f"amqp://guest:guest@127.0.0.1:{free_port()}//") as way:
        assert told(way, [good(), good()]) == ["Disconnected"] * 2
    assert time.monotonic() - started < 5


def test_a_connection_that_broke_while_idle_is_replaced(kind: str, declared: str) -> None:
    """What was sent on it goes over a new one, and nobody hears of it."""
    connections: list[Connection] = []
    with publishing(kind, declared, connections) as way:
        assert told(way, [good()]) == ["NoneType"]
        connections[0].connection.transport.sock.shutdown(socket.SHUT_RDWR)
        assert told(way, [good()]) == ["NoneType"]
    assert len(connections) == 2


def through(relay: PausingRelay, url: str) -> str:
    """*url*, with the relay on the way."""
    head, _, vhost = url.rpartition("/")
    return f"{head.rpartition(':')[0]}:{relay.port}/{vhost}"


def test_kombu_takes_a_late_confirm_for_that_of_the_next_message(rabbitmq: RabbitNode, declared: str) -> None:
    """The trap itself: a publish into a full queue is "ok", by the confirm that came too late for the one before."""
    options = {"confirm_publish": True}
    with PausingRelay(rabbitmq.port) as relay:
        connection = Connection(through(relay, declared), transport_options=options)
        producer = Producer(connection)
        producer.publish(b"1", exchange=topology.CALLS.name, routing_key="genesys.routine")
        with pytest.raises(MessageNacked):
            producer.publish(b"2", exchange="full", routing_key="f")
        relay.pause()
        with pytest.raises(TimeoutError):
            producer.publish(b"3", exchange=topology.CALLS.name, routing_key="genesys.routine", confirm_timeout=0.5)
        threading.Timer(0.5, relay.resume).start()
        producer.publish(b"4", exchange="full", routing_key="f", confirm_timeout=5)
        connection.collect(socket_timeout=1)


def test_a_late_confirm_is_nobody_elses(kind: str, rabbitmq: RabbitNode, declared: str) -> None:
    """The same with ours: no confirm in time, the connection is thrown away, and the full queue refuses."""
    made: list[Connection] = []
    with PausingRelay(rabbitmq.port) as relay, publishing(kind, through(relay, declared), made, patience=1) as way:
        assert told(way, [good()]) == ["NoneType"]
        relay.pause()
        assert told(way, [good(b"late")]) == ["Unconfirmed"]
        threading.Timer(0.2, relay.resume).start()
        assert told(way, [REFUSED, good(), LOST]) == ["Refused", "NoneType", "Unroutable"]
    assert len(made) >= 2


def test_an_alarm_or_a_frozen_broker_fails_in_bounded_time(kind: str, private_rabbitmq: RabbitNode) -> None:
    """RabbitMQ stops reading, then everything: no confirm comes, the error says so; afterwards all is well.

    Each connection hears of an alarm a moment later: what was confirmed until then is in its queue, and no failure.
    """
    declare(private_rabbitmq.url())
    faults = [
        (private_rabbitmq.raise_memory_alarm, private_rabbitmq.clear_memory_alarm),
        (private_rabbitmq.freeze, private_rabbitmq.thaw),
    ]
    with publishing(kind, private_rabbitmq.url()) as way:
        for begin, end in faults:
            assert told(way, [good()]) == ["NoneType"]
            begin()
            started = time.monotonic()
            failures = way.publish([good(b"x" * 10_000) for _ in range(200)])
            assert time.monotonic() - started < LONGEST
            assert any(failures)
            assert {type(failure) for failure in filter(None, failures)} <= {Unconfirmed, Disconnected}
            end()
            wait_until(lambda: told(way, [good(), REFUSED]) == ["NoneType", "Refused"], 15, "the broker to be well")


def test_a_queue_that_was_full_takes_messages_again(kind: str, rabbitmq: RabbitNode, declared: str) -> None:
    """Once its limit is lifted, over whatever connection: RabbitMQ 3.10 refuses a channel for ever that it refused."""
    vhost, queue = urlsplit(declared).path[1:], topology.calls_queue("genesys", Lane.ROUTINE).name
    with publishing(kind, declared) as way:
        assert told(way, [good()]) == ["NoneType"]
        rabbitmq.rabbitmqctl("set_policy", "-p", vhost, "full", f"^{queue}$", '{"max-length": 1}')
        wait_until(lambda: told(way, [good()]) == ["Refused"], 15, "the queue to be full")
        rabbitmq.rabbitmqctl("clear_policy", "-p", vhost, "full")
        wait_until(lambda: told(way, [good()]) == ["NoneType"], 15, "a good message to be taken")


def test_the_time_for_confirms_leaves_room_below_the_limit() -> None:
    """With the look that finds what is overdue, and a connection to be thrown away."""
    assert CONFIRM_TIMEOUT + 3 < LONGEST
    assert issubclass(Disconnected, Unconfirmed)
    assert not issubclass(Refused, Unroutable)
