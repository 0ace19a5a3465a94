"""What every measured thing has in common: a queue to be filled, and processes that empty it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from servers import Daemon

from worker import broker
from worker.broker.publication import Message
from worker.broker.publisher import Publisher

BATCH = 500  # messages whose confirms are awaited together


@contextmanager
def running(daemons: list[Daemon]) -> Iterator[list[Daemon]]:
    """*daemons* until the end of the block, however it comes: what goes on running would disturb the next row."""
    try:
        yield daemons
    finally:
        for daemon in daemons:
            daemon.kill9()


class Contestant(ABC):
    """One row: who it is, how it is configured, and how it is put to work."""

    name: str
    broker: str  # "rabbitmq", "embedded" or "-"
    configuration: str  # for the reader of the results
    expected: int  # calls per second, roughly: how much work a round needs to last as long as the others
    broker_url: str

    @abstractmethod
    def prepare(self) -> None:
        """Make its queues; called once."""

    @abstractmethod
    def messages(self, count: int) -> list[Message]:
        """The messages that ask for calls 1 to *count*."""

    @abstractmethod
    def start(self) -> list[Daemon]:
        """Start its processes."""

    @abstractmethod
    def waiting(self) -> int:
        """Messages in its queues, delivered and unacknowledged ones included."""

    def tidy(self) -> None:  # noqa: B027 - most have nothing to do
        """Make ready for the next round."""

    def close(self) -> None:  # noqa: B027 - likewise
        """Give back what `prepare` made."""

    def publisher(self) -> Publisher:
        """A publisher to its broker."""
        return Publisher(lambda: broker.connect(self.broker_url))

    def fill(self, messages: Sequence[Message]) -> None:
        """Publish *messages*, each confirmed."""
        with self.publisher() as publisher:
            for start in range(0, len(messages), BATCH):
                publisher.publish_all(messages[start : start + BATCH])
