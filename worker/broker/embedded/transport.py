"""The kombu transport: `embedded:////absolute/path/broker.sqlite3`, or `embedded:///relative/path`.

A consumer looks for messages often while it has some in hand, and at rest when it is notified of one.
"""

import sqlite3
import time
from pathlib import Path
from typing import Any, ClassVar, Final

from kombu.asynchronous import Hub
from kombu.connection import Connection
from kombu.exceptions import ChannelError
from kombu.transport.base import Transport as BaseTransport

from worker.broker.embedded.channel import Channel
from worker.broker.embedded.connection import BrokerConnection
from worker.broker.embedded.file import BrokerUnavailable
from worker.broker.embedded.wakeup import Wakeup

LEASE_SECONDS: Final = 15.0
POLLING_INTERVAL: Final = 0.01  # seconds
REST_INTERVAL: Final = 0.1  # seconds between two looks for what nobody notifies of: an expired delay or lease
BATCH_SIZE: Final = 100  # messages


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
            batch=int(options.get("batch", BATCH_SIZE)),
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
        deadline = None if timeout is None else time.monotonic() + timeout
        while not connection.poll():
            wakeup = connection.wakeup
            pause = REST_INTERVAL if wakeup else self._interval
            left = pause if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no message")
            (wakeup.wait if wakeup else time.sleep)(min(pause, left))

    def register_with_event_loop(self, connection: BrokerConnection, loop: Hub) -> None:
        """Let *loop* do the polling, until the connection is closed."""
        self.unregister_from_event_loop(connection, loop)
        connection.stop_polling = HubPolling(connection, loop, self._interval).stop

    def unregister_from_event_loop(self, connection: BrokerConnection, loop: Hub) -> None:  # noqa: ARG002  # kombu's signature
        """Stop polling."""
        connection.stop_polling()

    @property
    def _interval(self) -> float:
        return float(self._options.get("polling_interval", POLLING_INTERVAL))

    @property
    def _options(self) -> dict[str, Any]:
        return self.client.transport_options or {}


class HubPolling:
    """Polls *connection* on kombu's event loop *hub*, every *interval* seconds if need be, until it is stopped."""

    def __init__(self, connection: BrokerConnection, hub: Hub, interval: float) -> None:
        self._connection, self._hub, self._interval = connection, hub, interval
        self._watched: Wakeup | None = None  # only at rest: polling at every interval needs no notification
        self._timer: Any = hub.call_later(interval, self._look)

    def stop(self) -> None:
        """Poll no more."""
        self._timer.cancel()
        self._watch(None)

    def _look(self) -> None:
        try:
            self._connection.poll()
        finally:
            if not self._connection.closed:
                wakeup = self._connection.wakeup
                self._look_in(REST_INTERVAL if wakeup else self._interval)
                self._watch(wakeup)

    def _look_in(self, seconds: float) -> None:
        self._timer.cancel()
        self._timer = self._hub.call_later(seconds, self._look)

    def _watch(self, wakeup: Wakeup | None) -> None:
        if wakeup is self._watched:
            return
        if self._watched:
            self._hub.remove_reader(self._watched.descriptor)
        if wakeup:
            self._hub.add_reader(wakeup.descriptor, self._on_notified, wakeup)
        self._watched = wakeup

    def _on_notified(self, wakeup: Wakeup) -> None:
        wakeup.clear()
        self._look_in(0)
        self._hub.call_soon(lambda: None)  # in that step the hub finds that the timer is due
