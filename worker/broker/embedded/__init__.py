"""The embedded broker: a kombu transport over one SQLite file, for machines without a message server.

It survives restarts and kill -9 and serves several processes of one machine; it knows no cluster and no users.
"""

from kombu.transport import TRANSPORT_ALIASES

from worker.broker.embedded.file import BrokerUnavailable
from worker.broker.embedded.store import NoRoute

__all__ = ["BrokerUnavailable", "NoRoute", "register"]


def register() -> None:
    """Make kombu and Celery understand `embedded://` URLs; doing it again changes nothing."""
    TRANSPORT_ALIASES["embedded"] = "worker.broker.embedded.transport:Transport"
