"""How many messages wait in each queue, for the metrics: asked by the recorder over its own connection."""

import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from amqp.exceptions import ChannelError
from kombu import Connection, Queue

from worker.observability import metrics
from worker.observability.snapshot import Snapshot

QUEUES_AT_ONCE: Final = 20  # some milliseconds, in which the recorder does nothing else


def queue_depths(connection: Connection, queues: Sequence[Queue]) -> dict[str, int]:
    """Return how many messages wait in each of *queues*, by name; one that is missing is left out."""
    found: dict[str, int] = {}
    channel: Any = connection.channel()
    for queue in queues:
        try:
            found[queue.name] = _depth(channel, queue.name)
        except ChannelError:
            channel = connection.channel()  # the broker closed the one before
    return found


def _depth(channel: Any, name: str) -> int:
    """It needs no permission (https://www.rabbitmq.com/docs/access-control#authorisation)."""
    return int(channel.queue_declare(queue=name, passive=True).message_count)


class QueueDepths:
    """Looks at *queues* every *interval* seconds, QUEUES_AT_ONCE at a time. One that is missing has no depth."""

    def __init__(self, queues: Sequence[Queue], interval: float) -> None:
        self._names = [queue.name for queue in queues]
        self._left: deque[str] = deque()
        self._found: dict[tuple[str | None, ...], float] = {}
        self._seconds = 0.0
        self._snapshot: Snapshot[metrics.Figures] = Snapshot(interval, {})
        self._connection: Connection | None = None
        self._channel: Any = None  # of its own: the broker closes it for a queue that is missing
        metrics.allow("queue", self._names)
        metrics.QUEUE_DEPTH.follow(lambda: self._snapshot.value)

    def look(self, connection: Connection) -> None:
        """Look at the next queues, if it is time."""
        if not self._left:
            if not self._snapshot.is_due:
                return
            self._left, self._found, self._seconds = deque(self._names), {}, 0.0
        started = time.monotonic()
        for name in [self._left.popleft() for _ in range(min(QUEUES_AT_ONCE, len(self._left)))]:
            self._count(connection, name)
        self._seconds += time.monotonic() - started
        if not self._left:
            self._snapshot.keep(self._found, self._seconds)

    def _count(self, connection: Connection, name: str) -> None:
        if connection is not self._connection:
            self._connection, self._channel = connection, connection.channel()
        try:
            self._found[name,] = float(_depth(self._channel, name))
        except ChannelError:
            self._connection = None
