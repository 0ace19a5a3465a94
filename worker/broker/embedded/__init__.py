"""The embedded broker: a kombu transport over one SQLite file, for machines without a message server.

It survives restarts and kill -9 and serves several processes of one machine; it knows no cluster and no users.
"""

from kombu.connection import Connection
from kombu.transport import TRANSPORT_ALIASES

from worker.broker.embedded.file import BrokerUnavailable
from worker.broker.embedded.store import NoRoute, QueueCounts, Store

__all__ = ["BrokerUnavailable", "NoRoute", "QueueCounts", "queue_counts", "register"]


def register() -> None:
    """Make kombu and Celery understand `embedded://` URLs; doing it again changes nothing."""
    TRANSPORT_ALIASES["embedded"] = "worker.broker.embedded.transport:Transport"


def queue_counts(connection: "Connection") -> dict[str, QueueCounts]:
    """Return ready, unacked and delayed messages of every queue in the file *connection* is open on."""
    store: Store = connection.connection.durable
    return store.counts()
