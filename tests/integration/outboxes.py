"""The ways to publish, behind one face: what holds of one holds of all."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol
from unittest.mock import patch

from kombu import Connection
from loop_thread import LoopThread

from worker import broker
from worker.broker.async_publisher import AsyncPublisher, ThreadPublisher
from worker.broker.publication import Message, PublishError
from worker.broker.publisher import CONFIRM_TIMEOUT, Publisher

KINDS = ("blocking", "in a thread", "on an event loop")


class Publishes(Protocol):
    """Publishes each of several messages, at once."""

    def publish(self, messages: Sequence[Message]) -> list[PublishError | None]:
        """What became of each: None is confirmed."""


class _Awaited:
    def __init__(self, loop: LoopThread, publisher: ThreadPublisher | AsyncPublisher) -> None:
        self._loop, self._publisher = loop, publisher

    def publish(self, messages: Sequence[Message]) -> list[PublishError | None]:
        return self._loop.run(self._publish(messages))

    async def _publish(self, messages: Sequence[Message]) -> list[PublishError | None]:
        each = (self._publisher.publish(message) for message in messages)
        results = await asyncio.gather(*each, return_exceptions=True)
        assert all(result is None or isinstance(result, PublishError) for result in results)
        return [result if isinstance(result, PublishError) else None for result in results]


@contextmanager
def publishing(
    kind: str, url: str, connections: list[Connection] | None = None, patience: float = CONFIRM_TIMEOUT
) -> Iterator[Publishes]:
    """One of the KINDS, on the broker *url*; every connection it makes is added to *connections*.

    *patience* is the seconds it waits for a confirm.
    """

    def connect() -> Connection:
        made = broker.connect(url)
        if connections is not None:
            connections.append(made)
        return made

    if kind == "blocking":
        with Publisher(connect, patience) as publisher:
            yield publisher
        return
    with LoopThread() as loop:
        made = loop.run(_open(kind, connect, patience))
        try:
            with patch("worker.broker.async_publisher.CONFIRM_TIMEOUT", patience):
                yield _Awaited(loop, made)
        finally:
            loop.run(made.close())


async def _open(kind: str, connect: Callable[[], Connection], patience: float) -> ThreadPublisher | AsyncPublisher:
    return AsyncPublisher(connect) if kind == "on an event loop" else ThreadPublisher(Publisher(connect, patience))
