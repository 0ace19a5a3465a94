"""How the embedded broker's tests talk to it: through kombu, on a real file."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kombu import Connection, Exchange, Message, Queue

from worker.broker.embedded import register

DEAD = Queue("dead", Exchange("graveyard", "topic"), routing_key="#")
BURIED = {"x-dead-letter-exchange": "graveyard", "x-dead-letter-routing-key": "work.dead"}


@contextmanager
def opened(path: Path, *queues: Queue) -> Iterator[Connection]:
    """Connect to the broker file *path* and declare *queues*."""
    register()
    with Connection(f"embedded:///{path}", transport_options={"lease_seconds": 0.4}) as connection:
        declare(connection, *queues)
        yield connection


def declare(connection: Connection, *queues: Queue) -> None:
    """Declare *queues* with their exchanges and bindings."""
    for queue in queues:
        queue(connection.default_channel).declare()


def put(connection: Connection, *bodies: object, to: str = "work", **options: object) -> None:
    """Publish each body in its turn."""
    producer = connection.Producer()
    for body in bodies:
        producer.publish(body, routing_key=to, **options)


def put_together(connection: Connection, *messages: dict[str, object]) -> None:
    """Publish *messages* in one transaction."""
    producer = connection.Producer(routing_key="work")
    with producer.channel.transaction():
        for message in messages:
            producer.publish(**message)


def get(connection: Connection, queue: str = "work") -> Message | None:
    """Return the next message, or None."""
    message = connection.default_channel.basic_get(queue)
    if message is not None:
        message.accept = {"application/json"}
    return message


def taken(connection: Connection, queue: str = "work") -> Message:
    """Return the next message, waiting at most five seconds."""
    deadline = time.monotonic() + 5
    while (message := get(connection, queue)) is None:
        assert time.monotonic() < deadline, f"nothing came to {queue}"
        time.sleep(0.01)
    return message
