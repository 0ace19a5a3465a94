"""What is in the queues of an embedded broker, read from its file."""

from dataclasses import dataclass
from uuid import uuid4

from kombu import Connection

from worker.broker.embedded.store import Store


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """How many messages of a queue wait, are held by consumers, and are not yet due."""

    ready: int
    unacked: int
    delayed: int


def queue_counts(connection: Connection) -> dict[str, QueueCounts]:
    """Return the counts of every queue in the file *connection* is open on."""
    file = connection.connection.durable.file
    columns = "sum(owner IS NULL AND visible_at <= ?1), sum(owner IS NOT NULL), sum(owner IS NULL AND visible_at > ?1)"
    with file.read() as db:
        rows = db.execute(f"SELECT queue, {columns} FROM message GROUP BY queue", (file.now(),))  # noqa: S608
        counted = {queue: QueueCounts(*counts) for queue, *counts in rows}
        names = [name for (name,) in db.execute("SELECT name FROM queue ORDER BY name")]
    return {name: counted.get(name, QueueCounts(0, 0, 0)) for name in names}


def die(connection: Connection) -> None:
    """Have whoever holds messages over *connection* be dead, and others notice: its lease is over."""
    file = connection.connection.durable.file
    with file.write() as db:
        db.execute("UPDATE lease SET until = 0")
    Store(file, uuid4().hex, lease_seconds=1.0).renew()
