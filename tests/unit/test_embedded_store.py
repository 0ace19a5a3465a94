"""What one process may expect of the embedded broker, asked through kombu on real files."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from amqp.exceptions import NotFound, PreconditionFailed
from embedded_probe import declare, get, opened, put, put_together, taken
from kombu import Connection, Exchange, Message, Queue
from servers.embedded import QueueCounts, queue_counts

from worker.broker.embedded import NoRoute
from worker.broker.embedded.routing import topic_matches


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the broker's file will be."""
    return tmp_path / "var" / "broker.sqlite3"


@pytest.fixture
def broker(path: Path) -> Iterator[Connection]:
    """Connect, with one declared queue, `work`."""
    with opened(path, Queue("work")) as connection:
        yield connection


def test_body_headers_and_properties_come_back_as_they_went(broker: Connection) -> None:
    """Bytes stay bytes and dates stay dates."""
    headers = {"at": datetime(2026, 1, 2, tzinfo=UTC), "raw": b"\x00\xff", "odd": {"$time": "never"}}
    put(
        broker,
        b"\x00\xffbody",
        content_type="application/x",
        content_encoding="binary",
        headers=headers,
        message_id="m1",
        correlation_id="c1",
    )
    message = taken(broker)
    assert (message.body, message.content_type, message.content_encoding) == (
        b"\x00\xffbody",
        "application/x",
        "binary",
    )
    assert message.headers == headers
    assert (message.properties["message_id"], message.properties["correlation_id"]) == ("m1", "c1")
    assert (message.properties["delivery_mode"], message.delivery_info["redelivered"]) == (2, False)


def test_a_requeued_message_keeps_its_place(broker: Connection) -> None:
    """Oldest first, also the second time."""
    put(broker, 1, 2, 3)
    taken(broker).requeue()
    again = taken(broker)
    assert (again.payload, again.delivery_info["redelivered"]) == (1, True)
    assert [taken(broker).payload for _ in range(2)] == [2, 3]


def test_a_delayed_message_is_not_seen_before_its_time(broker: Connection) -> None:
    """x-delay holds a message back, and others pass it."""
    begun = time.monotonic()
    put(broker, 1, headers={"x-delay": 300})
    put(broker, 2)
    assert queue_counts(broker)["work"] == QueueCounts(ready=1, unacked=0, delayed=1)
    assert [taken(broker).payload, taken(broker).payload] == [2, 1]
    assert time.monotonic() - begun >= 0.3


@pytest.mark.parametrize("delay", [-1, 1.5, "5", True, None, 2**32])
def test_a_delay_that_is_no_number_of_milliseconds_is_refused(broker: Connection, delay: object) -> None:
    """A misread delay would be a lost retry."""
    with pytest.raises(ValueError, match="x-delay"):
        put(broker, 1, headers={"x-delay": delay})


def test_a_mandatory_message_without_a_queue_is_refused(broker: Connection) -> None:
    """Others are dropped, as in AMQP; an exchange that does not exist is always an error."""
    put(broker, 1, to="nowhere")
    with pytest.raises(NoRoute, match="nowhere"):
        put(broker, 1, to="nowhere", mandatory=True)
    with pytest.raises(NotFound, match="missing"):
        put(broker, 1, exchange="missing")


def test_a_transaction_is_stored_whole_or_not_at_all(broker: Connection) -> None:
    """An error in the block, or one message without a queue, undoes them all."""
    with pytest.raises(ValueError, match="x-delay"):
        put_together(broker, {"body": 1}, {"body": 2, "headers": {"x-delay": -1}})
    with pytest.raises(NoRoute):
        put_together(broker, {"body": 3}, {"body": 4, "routing_key": "nowhere", "mandatory": True})
    put_together(broker, {"body": 5}, {"body": 6})
    assert [taken(broker).payload, taken(broker).payload, get(broker)] == [5, 6, None]


def test_prefetch_holds_until_another_thread_acknowledges(broker: Connection) -> None:
    """No more than the prefetch is ever in hand."""
    put(broker, *range(5))
    got: list[Message] = []
    with broker.Consumer([Queue("work")], on_message=got.append, prefetch_count=2):
        broker.drain_events(timeout=1)
        with pytest.raises(TimeoutError):
            broker.drain_events(timeout=0.05)
        assert len(got) == 2
        acknowledging = threading.Thread(target=got[0].ack)
        acknowledging.start()
        acknowledging.join()
        broker.drain_events(timeout=1)
    assert [message.body for message in got] == [b"0", b"1", b"2"]


def test_a_long_queue_does_not_starve_a_short_one(broker: Connection) -> None:
    """With room for one, the queues take turns."""
    declare(broker, Queue("other"))
    put(broker, *["long"] * 20)
    put(broker, "short", to="other")
    got: list[str] = []

    def receive(message: Message) -> None:
        got.append(message.delivery_info["routing_key"])
        message.ack()

    with broker.Consumer([Queue("work"), Queue("other")], on_message=receive, prefetch_count=1):
        for _ in range(3):
            broker.drain_events(timeout=1)
    assert "other" in got


def test_a_closed_consumer_gives_back_at_once(broker: Connection, path: Path) -> None:
    """What it held is delivered elsewhere without waiting for the lease, and no limit counts it."""
    put(broker, 1)
    with Connection(f"embedded:///{path}", transport_options={"lease_seconds": 60}) as other:
        taken(other)
        assert get(broker) is None
    message = get(broker)
    assert message is not None
    assert (message.delivery_info["redelivered"], "x-delivery-count" in message.headers) == (True, False)


def test_operators_count_purge_and_delete(broker: Connection) -> None:
    """Counts tell ready from held from delayed; a deleted queue is gone for passive declares too."""
    put(broker, 1, 2, 3)
    put(broker, 4, headers={"x-delay": 60_000})
    held = taken(broker)
    assert queue_counts(broker) == {"work": QueueCounts(ready=2, unacked=1, delayed=1)}
    work = Queue("work")(broker.default_channel)
    assert work.queue_declare(passive=True) == ("work", 2, 0)
    assert work.purge() == 3
    held.ack()
    work.delete()
    with pytest.raises(NotFound):
        work.queue_declare(passive=True)


def test_a_queue_cannot_be_declared_with_other_arguments(broker: Connection) -> None:
    """A dead letter exchange is not taken away unnoticed."""
    with pytest.raises(PreconditionFailed, match="work"):
        declare(broker, Queue("work", queue_arguments={"x-delivery-limit": 5}))


@pytest.mark.parametrize(
    "argument", [{"x-delivery-limit": "5"}, {"x-dead-letter-exchange": None}, {"x-dead-letter-routing-key": 1}]
)
def test_a_queue_argument_of_the_wrong_type_is_refused(broker: Connection, argument: dict[str, object]) -> None:
    """At the declaration, not when the first message dies."""
    with pytest.raises(PreconditionFailed, match=next(iter(argument))):
        declare(broker, Queue("new", queue_arguments=argument))


def test_one_ack_may_stand_for_all_earlier_ones(broker: Connection) -> None:
    """As in AMQP, on the same channel."""
    put(broker, 1, 2, 3)
    messages = [taken(broker) for _ in range(3)]
    messages[1].ack(multiple=True)
    assert queue_counts(broker)["work"] == QueueCounts(ready=0, unacked=1, delayed=0)


def test_a_fanout_exchange_copies_to_every_queue(broker: Connection) -> None:
    """Whatever the routing key."""
    everyone = Exchange("everyone", "fanout")
    declare(broker, Queue("left", everyone), Queue("right", everyone))
    put(broker, 1, to="ignored", exchange=everyone)
    assert (taken(broker, "left").payload, taken(broker, "right").payload) == (1, 1)


@pytest.mark.parametrize(
    ("pattern", "key", "fits"),
    [
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.#", "a", True),
        ("a.#", "a.b.c", True),
        ("#.c", "a.b.c", True),
        ("#", "", True),
        ("a.#.c", "a.c", True),
        ("a.*.c", "a.b.b.c", False),
        ("a+b", "aab", False),
    ],
)
def test_topics_match_as_in_amqp(pattern: str, key: str, fits: bool) -> None:  # noqa: FBT001  # a table's column
    """A star is one word, a hash any number of them."""
    assert topic_matches(pattern, key) is fits
