"""The loop that intake and recorder share: its queues do not wait for each other."""

import socket
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from batch_consumers import beginning, bodies, consuming
from kombu.message import Message as Delivered
from malformed import Envelope, put, unreadable
from servers import wait_until

from worker import broker
from worker.broker import batch_consumer, queue_batch, topology
from worker.broker.batch_consumer import RECONSUME_AFTER
from worker.broker.messages import body_of
from worker.broker.publication import Message
from worker.broker.queue_batch import BATCH_SIZE, MIN_BATCH_SIZE, PREFETCH, Unsafe

AFTER = Message(topology.EVENTS.name, "session.ended", b"after")


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
    monkeypatch.setattr(queue_batch, "MAX_BACKOFF", 0.0)
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


class Steps:
    """Begins batches and notes what was begun and waited for; the first *unsafe* tries are not safe."""

    def __init__(self, unsafe: int = 0) -> None:
        self.taken: list[tuple[str, list[bytes]]] = []
        self.under_way = self.most_under_way = 0
        self._unsafe = unsafe

    def begin(self, batch: Sequence[Delivered]) -> Unsafe:
        """Begin a batch; it takes a moment until it is safe."""
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        bodies = [body_of(message) for message in batch]
        self.taken.append(("begun", bodies))

        def wait() -> Sequence[Delivered]:
            time.sleep(0.01)
            self.under_way -= 1
            self._unsafe -= 1
            self.taken.append(("safe" if self._unsafe < 0 else "unsafe", bodies))
            return () if self._unsafe < 0 else batch

        return wait

    def of(self, step: str) -> list[bytes]:
        """The bodies that came to *step*, in order."""
        return [body for name, bodies in self.taken if name == step for body in bodies]


def numbered(count: int, key: str = "session.ended") -> list[Message]:
    """Messages that can be told apart."""
    return [Message(topology.EVENTS.name, key, b"%d" % n) for n in range(count)]


def test_a_batch_is_begun_before_the_last_one_is_waited_for(broker_url: str) -> None:
    """Two are under way at most; each is acknowledged once it is safe."""
    steps = Steps()
    with beginning(broker_url, steps.begin, ahead=1) as publisher:
        publisher.publish_all(numbered(5 * BATCH_SIZE))
        wait_until(lambda: len(steps.of("safe")) == 5 * BATCH_SIZE, 30, "all of them")
    assert steps.most_under_way == 2
    assert sorted(steps.of("begun")) == sorted(each.body for each in numbered(5 * BATCH_SIZE)), "none comes twice"
    with broker.connect(broker_url) as connection:
        assert topology.INTAKE(connection.channel()).get() is None


def test_large_batches_go_one_by_one(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on its way lies in memory as well: with that much in hand no further message is taken."""
    monkeypatch.setattr(batch_consumer, "MAX_BUFFERED_BYTES", 10)
    steps = Steps()
    with beginning(broker_url, steps.begin, ahead=1) as publisher:
        publisher.publish_all(numbered(5 * BATCH_SIZE))
        wait_until(lambda: len(steps.of("safe")) == 5 * BATCH_SIZE, 30, "all of them")
    assert steps.most_under_way == 1


def test_batches_go_one_by_one_while_something_fails(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails may take along what is on its way beside it; nothing is lost, and nothing safe comes again."""
    monkeypatch.setattr(queue_batch, "MIN_BACKOFF", 0.05)
    steps = Steps(unsafe=3)
    with beginning(broker_url, steps.begin, ahead=1) as publisher:
        publisher.publish_all(numbered(3 * BATCH_SIZE))
        wait_until(lambda: len(steps.of("safe")) == 3 * BATCH_SIZE, 30, "all of them")
    assert sorted(steps.of("safe")) == sorted(each.body for each in numbered(3 * BATCH_SIZE))
    names = [name for name, _ in steps.taken]
    failing = names[names.index("unsafe") : len(names) - names[::-1].index("unsafe")]
    assert "begun begun" not in " ".join(failing)


def test_a_connection_that_breaks_under_two_batches_delivers_both_again(rabbitmq_url: str) -> None:
    """Both are waited for, since they may be done; what was not acknowledged comes again."""
    steps, lines = Steps(), list[Any]()

    def begin(batch: Sequence[Delivered]) -> Unsafe:
        wait = steps.begin(batch)
        if steps.under_way == 2 and not lines:
            lines.append(batch[0].channel.connection)
            lines[0].transport.sock.shutdown(socket.SHUT_RDWR)
        return wait

    with beginning(rabbitmq_url, begin, ahead=1) as publisher:
        publisher.publish_all(numbered(4 * BATCH_SIZE))
        wait_until(lambda: {*steps.of("safe")} == {each.body for each in numbered(4 * BATCH_SIZE)}, 30, "all of them")
        wait_until(lambda: not steps.under_way, 5, "those that were under way")
    assert len(steps.of("begun")) == len(steps.of("safe"))
    assert len(steps.of("safe")) <= 6 * BATCH_SIZE, "two batches come again at most"


def test_a_batch_takes_no_more_messages_than_its_time_allows(broker_url: str) -> None:
    """Where each takes long, somebody who waits behind a batch does not wait for a hundred."""
    sizes: list[int] = []

    def handle(batch: Sequence[Delivered]) -> Sequence[Delivered]:
        sizes.append(len(batch))
        until = time.thread_time() + 0.0005 * len(batch)
        while time.thread_time() < until:
            pass
        return ()

    with consuming(broker_url, handle, batch_seconds=0.02) as publisher:
        publisher.publish_all(numbered(3 * BATCH_SIZE))
        wait_until(lambda: sum(sizes) == 3 * BATCH_SIZE, 30, "all of them")
    assert all(size <= 2 * MIN_BATCH_SIZE for size in sizes[1:])
    assert max(sizes[1:]) >= MIN_BATCH_SIZE
