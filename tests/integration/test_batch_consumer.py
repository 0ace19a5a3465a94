"""The loop that intake and recorder share: its queues do not wait for each other."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from kombu.message import Message as Delivered
from malformed import Envelope, put, unreadable
from servers import wait_until

from worker import broker
from worker.broker import batch_consumer, topology
from worker.broker.batch_consumer import PREFETCH, RECONSUME_AFTER, BatchConsumer, Handle
from worker.broker.messages import body_of
from worker.broker.publication import Message
from worker.broker.publisher import Publisher
from worker.process import Stop

AFTER = Message(topology.EVENTS.name, "session.ended", b"after")


@contextmanager
def consuming(url: str, handle: Handle, **options: Any) -> Iterator[Publisher]:
    """Consume the intake's queues in a thread, which ends well; gives a publisher."""
    stop = Stop()
    consumed = topology.INTAKES, ["genesys"], handle, stop
    consumer = BatchConsumer(lambda: broker.connect(url), *consumed, **options)
    thread = threading.Thread(target=consumer.run)
    with broker.connect(url) as connection:
        topology.declare(connection, ["genesys"])
    thread.start()
    try:
        with Publisher(lambda: broker.connect(url)) as publisher:
            yield publisher
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()


def test_a_queue_that_fails_holds_up_no_other(broker_url: str) -> None:
    """While routine events cannot be made safe, and pause longer and longer, an urgent one is taken at once."""
    tries: list[float] = []
    urgent: list[float] = []

    def handle(batch: Sequence[Delivered]) -> Sequence[Delivered]:
        is_urgent = batch[0].delivery_info["routing_key"] == "user.disabled"
        (urgent if is_urgent else tries).append(time.monotonic())
        return () if is_urgent else batch

    with consuming(broker_url, handle) as publisher:
        publisher.publish_all([Message(topology.EVENTS.name, "session.ended", b"{}")] * 3)
        wait_until(lambda: len(tries) == 3, 20, "the pauses to grow")
        began = time.monotonic()
        publisher.publish_all([Message(topology.EVENTS.name, "user.disabled", b"{}")])
        wait_until(lambda: urgent, 5, "the urgent event to be handled")
        assert urgent[0] - began < 0.5
        assert tries[1] - tries[0] > 0.4


def test_a_queue_that_goes_on_beside_one_that_fails_has_not_caught_up(broker_url: str) -> None:
    """Caught up is who has made safe everything that could not be; else what is away seems back again and again."""
    heals, seen = threading.Event(), list[str]()

    def handle(batch: Sequence[Delivered]) -> Sequence[Delivered]:
        is_urgent = batch[0].delivery_info["routing_key"] == "user.disabled"
        seen.append("urgent" if is_urgent else "written" if heals.is_set() else "refused")
        return batch if seen[-1] == "refused" else ()

    def caught_up() -> None:
        if seen and seen[-1] != "caught up":
            seen.append("caught up")

    with consuming(broker_url, handle, caught_up=caught_up) as publisher:
        publisher.publish_all([Message(topology.EVENTS.name, "session.ended", b"{}")] * 3)
        wait_until(lambda: "refused" in seen, 10, "the first try")
        publisher.publish_all([Message(topology.EVENTS.name, "user.disabled", b"{}")])
        wait_until(lambda: "urgent" in seen, 10, "the urgent event")
        heals.set()
        wait_until(lambda: seen[-1] == "caught up", 10, "all to be written")
    assert set(seen[: seen.index("caught up")]) == {"refused", "urgent", "written"}


def test_a_long_urgent_queue_has_a_head_start(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is urgent by its key alone is moved before the routine queue's slow batches get their turns."""
    monkeypatch.setattr(batch_consumer, "MAX_BACKOFF", 0.0)
    seen: set[tuple[str, int]] = set()
    handled: list[str] = []
    go = threading.Event()

    def handle(batch: Sequence[Delivered]) -> Sequence[Delivered]:
        keys = [message.delivery_info["routing_key"] for message in batch]
        seen.update(zip(keys, (message.delivery_tag for message in batch), strict=True))
        if not go.is_set():
            return batch
        handled.extend(keys)
        return ()

    with consuming(broker_url, handle, head_start=30.0) as publisher:
        for key, count in (("session.ended", 300), ("user.disabled", PREFETCH)):
            publisher.publish_all([Message(topology.EVENTS.name, key, b"{}")] * count)
        wait_until(lambda: sum(key == "user.disabled" for key, _ in set(seen)) == PREFETCH, 30, "all that is urgent")
        go.set()
        wait_until(lambda: len(handled) == 300 + PREFETCH, 30, "all of them")
    assert set(handled[:PREFETCH]) == {"user.disabled"}


def bodies(seen: list[bytes]) -> Handle:
    """Makes every message safe, and keeps its body in *seen*."""

    def handle(batch: Sequence[Delivered]) -> Sequence[Delivered]:
        seen.extend(body_of(message) for message in batch)
        return ()

    return handle


@pytest.mark.parametrize("declared", ["at once", "by the consumer"])
def test_a_queue_that_is_deleted_is_declared_and_consumed_again(rabbitmq_url: str, declared: str) -> None:
    """Whoever declares it, and however soon: what is published then is handled without a restart."""
    seen: list[bytes] = []
    with consuming(rabbitmq_url, bodies(seen)) as publisher, broker.connect(rabbitmq_url) as operator:
        publisher.publish_all([Message(topology.EVENTS.name, "session.ended", b"before")])
        wait_until(lambda: seen == [b"before"], 10, "the consumer to be there")
        topology.INTAKE(operator.channel()).delete()
        if declared == "at once":
            topology.declare(operator, ["genesys"])
        wait_until(lambda: publisher.publish([AFTER]) == [None], 10, "the queue to be there again")
        wait_until(lambda: seen == [b"before", b"after"], RECONSUME_AFTER + 5, "what came afterwards")


def test_what_the_client_cannot_read_is_handed_over_like_anything_else(rabbitmq_url: str) -> None:
    """Tables without end, text that is none, times out of range: the loop goes on, and nobody's message is stuck."""
    cases = unreadable()
    seen: list[bytes] = []
    with consuming(rabbitmq_url, bodies(seen)) as publisher:
        put(rabbitmq_url, topology.EVENTS, "session.ended", cases)
        put(rabbitmq_url, topology.EVENTS, b"\xff\xfe", [Envelope(b"a key that is no text", {})])
        publisher.publish_all([AFTER])
        expected = {*(case.body for case in cases), b"a key that is no text", b"after"}
        wait_until(lambda: set(seen) == expected, 10, "all of them")
    assert len(seen) == len(expected)


CODED = {
    "utf-16": b"a body of even length",
    "unicode_escape": b"\\ud800",
    "utf-7": b"+2AA-",
    "rot13": b"{}",
    "utf-8": b"\xff",
}


def test_a_body_is_the_bytes_that_arrived_whatever_coding_its_producer_names(broker_url: str) -> None:
    """A dead letter is named by them, a signature is over them, and half a character must end no process."""
    taken: list[bytes] = []

    def handle(batch: Sequence[Delivered]) -> Sequence[Delivered]:
        taken.extend(map(body_of, batch))
        return ()

    bad = [Envelope(body, {}, content_encoding=coding) for coding, body in CODED.items()]
    with consuming(broker_url, handle):
        put(broker_url, topology.EVENTS, "session.ended", bad)
        wait_until(lambda: len(taken) == len(bad), 10, "all of them")
    assert sorted(taken) == sorted(CODED.values())
