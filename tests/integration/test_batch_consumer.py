"""The loop that intake and recorder share: its queues do not wait for each other."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kombu.message import Message as Delivered
from servers import wait_until

from worker import broker, topology
from worker.batch_consumer import BatchConsumer, Handle, Stop
from worker.publisher import Message, Publisher


@contextmanager
def consuming(url: str, handle: Handle) -> Iterator[Publisher]:
    """Consume the intake's queues in a thread, which ends well; gives a publisher."""
    stop = Stop()
    thread = threading.Thread(target=BatchConsumer(url, topology.INTAKES, ["genesys"], handle, stop).run)
    with broker.connect(url) as connection:
        topology.declare(connection, ["genesys"])
    thread.start()
    with Publisher(lambda: broker.connect(url)) as publisher:
        yield publisher
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
