"""The kombu transport: `embedded:////absolute/path/broker.sqlite3`, or `embedded:///relative/path`."""

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from kombu.connection import Connection
from kombu.exceptions import ChannelError
from kombu.transport.base import Transport as BaseTransport

from worker.broker.embedded.channel import Channel
from worker.broker.embedded.connection import BrokerConnection
from worker.broker.embedded.file import BrokerUnavailable
from worker.broker.embedded.polling import HubPolling, drain_events

if TYPE_CHECKING:
    from kombu.asynchronous import Hub

LEASE_SECONDS: Final = 15.0
POLLING_INTERVAL: Final = 0.01  # seconds
BATCH: Final = 100  # messages


class Transport(BaseTransport):
    """Brokers messages between processes of one machine through one SQLite file.

    Transport options: `lease_seconds` (15), after which a message of a dead consumer is delivered again;
    `polling_interval` (0.01 seconds), but for a consumer at rest; `batch` (100), the most messages leased by one pass.
    Priorities, expiry, auto-delete, exclusive queues and every other `x-` argument are accepted and ignored.
    A process must not fork while it is connected (https://www.sqlite.org/howtocorrupt.html section 2.6).
    """

    client: Connection
    driver_type = "embedded"
    driver_name = "sqlite3"
    connection_errors = recoverable_connection_errors = (BrokerUnavailable,)
    channel_errors = (ChannelError,)
    recoverable_channel_errors: ClassVar[tuple[type[Exception], ...]] = ()
    implements = BaseTransport.implements.extend(
        asynchronous=True, exchange_type=frozenset({"direct", "topic", "fanout"})
    )

    def driver_version(self) -> str:
        """Return SQLite's version."""
        return sqlite3.sqlite_version

    def establish_connection(self) -> BrokerConnection:
        """Open the file, creating it and its directory when missing; BrokerUnavailable when that fails."""
        options = self._options
        return BrokerConnection(
            self.client,
            Path(self.client.virtual_host),
            lease_seconds=float(options.get("lease_seconds", LEASE_SECONDS)),
            batch=int(options.get("batch", BATCH)),
        )

    def close_connection(self, connection: BrokerConnection) -> None:
        """End every lease and close the file."""
        connection.close()

    def verify_connection(self, connection: BrokerConnection) -> bool:
        """Whether *connection* can still be used."""
        return not connection.closed

    def create_channel(self, connection: BrokerConnection) -> Channel:
        """Return a new channel on *connection*."""
        return Channel(connection)

    def close_channel(self, channel: Channel) -> None:
        """Release what *channel* holds."""
        channel.close()

    def drain_events(self, connection: BrokerConnection, timeout: float | None = None, **_: Any) -> None:
        """Deliver what can be leased now, or the first messages that come; TimeoutError after *timeout* seconds."""
        drain_events(connection, timeout, self._interval)

    def register_with_event_loop(self, connection: BrokerConnection, loop: "Hub") -> None:
        """Let *loop* do the polling, until the connection is closed."""
        self.unregister_from_event_loop(connection, loop)
        connection.stop_polling = HubPolling(connection, loop, self._interval).stop

    def unregister_from_event_loop(self, connection: BrokerConnection, loop: "Hub") -> None:  # noqa: ARG002  # kombu's signature
        """Stop polling."""
        connection.stop_polling()

    @property
    def _interval(self) -> float:
        return float(self._options.get("polling_interval", POLLING_INTERVAL))

    @property
    def _options(self) -> dict[str, Any]:
        return self.client.transport_options or {}
