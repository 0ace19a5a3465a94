"""Batch consumers of the intake's queues, in a thread of the test."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kombu.message import Message as Delivered

from worker import broker
from worker.broker import topology
from worker.broker.batch_consumer import BatchConsumer
from worker.broker.messages import body_of
from worker.broker.publisher import Publisher
from worker.broker.queue_batch import Begin, Handle, at_once
from worker.process import Stop


@contextmanager
def consuming(url: str, handle: Handle, **options: Any) -> Iterator[Publisher]:
    """Consume the intake's queues in a thread, which ends well; gives a publisher."""
    with beginning(url, at_once(handle), **options) as publisher:
        yield publisher


@contextmanager
def beginning(url: str, begin: Begin, **options: Any) -> Iterator[Publisher]:
    """Likewise, with batches that are begun before they are waited for."""
    stop = Stop()
    consumed = topology.INTAKES, ["genesys"], begin, stop
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


def bodies(seen: list[bytes]) -> Handle:
    """Makes every message safe, and keeps its body in *seen*."""

    def handle(batch: Sequence[Delivered]) -> Sequence[Delivered]:
        seen.extend(body_of(message) for message in batch)
        return ()

    return handle
