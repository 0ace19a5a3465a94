"""What both brokers promise, by the project's own topology: one suite, each in turn.

Publishing and its confirms are in test_publisher.py; six retries in a row, kill -9 of a worker and several processes at
once are whole stories, in tests/acceptance.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from kombu import Connection, Consumer, Queue
from kombu.message import Message as Delivered
from servers import RabbitNode, wait_until
from servers.embedded import die

from tasks.call import Lane
from worker import broker
from worker.broker import topology
from worker.broker.publication import Message
from worker.broker.publisher import Publisher

CALLS = topology.calls_queue("genesys", Lane.ROUTINE)


def publish(url: str, *bodies: bytes) -> None:
    """Put calls on a broker that knows the topology."""
    with broker.connect(url) as connection:
        topology.declare(connection, ["genesys"])
    with Publisher(lambda: broker.connect(url)) as publisher:
        publisher.publish_all([Message(topology.CALLS.name, "genesys.routine", body) for body in bodies])


@contextmanager
def consuming(connection: Connection, queue: Queue, prefetch: int = 10) -> Iterator[Callable[[int], list[Delivered]]]:
    """Consume *queue*: call with a number to get that many messages, unacknowledged."""
    inbox: list[Delivered] = []

    def take(count: int) -> list[Delivered]:
        wait_until(lambda: _filled(connection, inbox, count), 20, f"{count} messages of {queue.name}")
        taken, inbox[:] = inbox[:count], inbox[count:]
        return taken

    with Consumer(connection.channel(), [queue], on_message=inbox.append, prefetch_count=prefetch, auto_declare=False):
        yield take


def _filled(connection: Connection, inbox: list[Delivered], count: int) -> bool:
    with contextlib.suppress(TimeoutError):
        connection.drain_events(timeout=0.2)
    return len(inbox) >= count


def bodies(messages: list[Delivered]) -> list[bytes]:
    """What arrived, as bytes."""
    return [body if isinstance(body := each.body, bytes) else body.encode() for each in messages]


def test_messages_arrive_in_order_and_an_acknowledged_one_is_gone(broker_url: str) -> None:
    """First in, first out; only what was not acknowledged comes again."""
    publish(broker_url, b"1", b"2", b"3")
    with broker.connect(broker_url) as connection, consuming(connection, CALLS) as take:
        first, *rest = take(3)
        assert bodies([first, *rest]) == [b"1", b"2", b"3"]
        first.ack()
    with broker.connect(broker_url) as connection, consuming(connection, CALLS) as take:
        assert bodies(take(2)) == [b"2", b"3"]


def test_acknowledgements_right_before_a_stop_arrive(broker_url: str) -> None:
    """Even hundreds at once, which RabbitMQ would forget when the channel is closed at once."""
    publish(broker_url, *(b"%d" % n * 300 for n in range(500)))
    inbox: list[Delivered] = []
    with broker.connect(broker_url) as connection:
        Consumer(
            connection.channel(), [CALLS], on_message=inbox.append, prefetch_count=500, auto_declare=False
        ).consume()
        wait_until(lambda: _filled(connection, inbox, 500), 20, "all messages")
        for message in inbox:
            message.ack()
        broker.let_acks_arrive(connection)
    with broker.connect(broker_url) as connection, consuming(connection, CALLS), pytest.raises(TimeoutError):
        connection.drain_events(timeout=1)


def test_no_more_than_the_prefetch_is_handed_out(broker_url: str) -> None:
    """A consumer that is busy leaves the rest to others."""
    publish(broker_url, *(b"%d" % n for n in range(5)))
    with (
        broker.connect(broker_url) as one,
        broker.connect(broker_url) as other,
        consuming(one, CALLS, prefetch=2) as take,
        consuming(other, CALLS) as take_other,
    ):
        assert len(take(2)) == 2
        assert len(take_other(3)) == 3


def test_a_rejected_message_becomes_a_dead_letter_that_tells_its_queue(broker_url: str) -> None:
    """The net below every queue: nothing that is rejected is lost."""
    publish(broker_url, b"bad")
    with (
        broker.connect(broker_url) as connection,
        consuming(connection, CALLS) as take,
        consuming(connection, topology.DEAD_QUEUE) as take_dead,
    ):
        take(1)[0].reject()
        [dead] = take_dead(1)
    assert bodies([dead]) == [b"bad"]
    death = dead.headers["x-death"][0]
    assert (death["queue"], death["reason"]) == (CALLS.name, "rejected")


def test_a_message_that_kills_its_process_again_and_again_becomes_a_dead_letter(broker_url: str) -> None:
    """It is given up after the delivery limit, with its reason; every version of every broker counts so."""
    publish(broker_url, b"poison")
    for _ in range(topology.DELIVERY_LIMIT + 1):
        with broker.connect(broker_url) as connection, consuming(connection, CALLS) as take:
            take(1)
            (die if broker.is_embedded(broker_url) else broker.cut)(connection)
    with broker.connect(broker_url) as connection, consuming(connection, topology.DEAD_QUEUE) as take_dead:
        [dead] = take_dead(1)
    assert dead.headers["x-death"][0]["reason"] == "delivery_limit"


def counts_returns(connection: Connection) -> bool:
    """Whether the broker takes what is given back for a failed try: RabbitMQ before 4.3, which cannot tell."""
    version: str = getattr(connection.connection, "server_properties", {}).get("version", "4.3")
    return [int(part) for part in version.split(".")[:2]] < [4, 3]


def test_what_is_given_back_counts_only_where_the_broker_cannot_tell(broker_url: str) -> None:
    """RabbitMQ up to 4.2 gives it up in the end, as a dead letter; any other broker keeps it."""
    publish(broker_url, b"not now")
    with (
        broker.connect(broker_url) as connection,
        consuming(connection, CALLS) as take,
        consuming(connection, topology.DEAD_QUEUE) as take_dead,
    ):
        is_counted = counts_returns(connection)
        for times in range(topology.DELIVERY_LIMIT + 1):
            [message] = take(1)
            assert message.headers.get("x-delivery-count", 0) == (times if is_counted else 0)
            message.requeue()
        [last] = (take_dead if is_counted else take)(1)
    assert bodies([last]) == [b"not now"]
    assert ("x-death" in last.headers) is is_counted


def test_a_channel_that_ends_gives_everything_back_at_once(broker_url: str) -> None:
    """By one word for all of it, not by being found closed, which is a failed try of each; what is done stays done."""
    publish(broker_url, b"done", b"1", b"2")
    with broker.connect(broker_url) as connection:
        with consuming(connection, CALLS) as take:
            done, *rest = take(3)
        done.ack()
        broker.give_back(rest[0].channel)
        broker.let_acks_arrive(connection)
        if broker.is_embedded(broker_url):
            rest[0].channel.close()
        with consuming(connection, CALLS) as take_again:
            assert bodies(take_again(2)) == [b"1", b"2"]


def where_events_are(url: str, *keys: str) -> dict[str, list[str]]:
    """Publish an event with each routing key; returns queue → keys of all that wait for the intake."""
    with Publisher(lambda: broker.connect(url)) as publisher:
        publisher.publish_all([Message(topology.EVENTS.name, key, b"{}") for key in keys])
    found: dict[str, list[Delivered]] = {queue.name: [] for queue in topology.INTAKES}
    with broker.connect(url) as connection, ExitStack() as consuming:
        for queue in topology.INTAKES:
            inbox = found[queue.name]
            consuming.enter_context(
                Consumer(connection.channel(), [queue], on_message=inbox.append, auto_declare=False)
            )
        with contextlib.suppress(TimeoutError):
            while True:
                connection.drain_events(timeout=0.5)
    return {name: [str(each.delivery_info["routing_key"]) for each in inbox] for name, inbox in found.items()}


def test_every_event_is_in_one_queue_and_urgent_ones_in_their_own(broker_url: str) -> None:
    """Whatever its routing key: a wrong one is for the intake to refuse, in sight, and not for the broker to drop."""
    publish(broker_url)
    assert where_events_are(broker_url, "session.ended", "user.disabled", "user.disabled.x", "no such thing", "") == {
        "revocation.intake.urgent": ["user.disabled"],
        "revocation.intake": ["session.ended", "user.disabled.x", "no such thing", ""],
    }


def test_a_topology_declared_again_leaves_what_waits_and_doubles_nothing(broker_url: str) -> None:
    """Every process declares it at its start."""
    publish(broker_url)
    with Publisher(lambda: broker.connect(broker_url)) as publisher:
        publisher.publish_all([Message(topology.EVENTS.name, "user.disabled", b"{}")])
    publish(broker_url)
    publish(broker_url)
    assert where_events_are(broker_url, "session.ended", "user.disabled") == {
        "revocation.intake.urgent": ["user.disabled", "user.disabled"],
        "revocation.intake": ["session.ended"],
    }


def test_waiting_and_delayed_messages_survive_a_clean_restart_of_rabbitmq(private_rabbitmq: RabbitNode) -> None:
    """Confirmed is on the disk."""
    url = private_rabbitmq.url()
    publish(url, b"waiting")
    with Publisher(lambda: broker.connect(url)) as publisher:
        publisher.publish_all([Message(topology.CALLS.name, "genesys.routine", b"delayed", delay=3)])
    private_rabbitmq.stop()
    private_rabbitmq.start()
    with broker.connect(url) as connection, consuming(connection, CALLS) as take:
        assert sorted(bodies(take(2))) == [b"delayed", b"waiting"]


@pytest.mark.parametrize("queue", topology.all_queues(["genesys"]), ids=lambda queue: str(queue.name))
def test_every_queue_on_rabbitmq_is_what_the_topology_says(
    rabbitmq: RabbitNode, rabbitmq_vhost: str, queue: Queue
) -> None:
    """Quorum, a delivery limit and refusal when full; at-least-once dead-lettering, which needs all three."""
    publish(rabbitmq.url(rabbitmq_vhost))
    told = rabbitmq.rabbitmqctl("list_queues", "-p", rabbitmq_vhost, "name", "type", "arguments", "--quiet")
    [line] = [line for line in told.splitlines() if line.startswith(f"{queue.name}\t")]
    assert "\tquorum\t" in line
    for argument, value in (queue.queue_arguments or {}).items():
        assert f'"{argument}",' in line
        assert str(value) in line
