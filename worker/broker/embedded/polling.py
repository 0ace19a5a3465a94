"""When a consumer looks for messages: often while it has some in hand, and at rest when it is notified of one."""

import time
from typing import TYPE_CHECKING, Any, Final

from worker.broker.embedded.connection import BrokerConnection
from worker.broker.embedded.wakeup import Wakeup

if TYPE_CHECKING:
    from kombu.asynchronous import Hub

REST_INTERVAL: Final = 0.1  # seconds between two looks for what nobody notifies of: an expired delay or lease


def drain_events(connection: BrokerConnection, timeout: float | None, interval: float) -> None:
    """Poll until something is delivered, every *interval* seconds if need be; TimeoutError after *timeout* seconds."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while not connection.poll():
        wakeup = connection.wakeup
        pause = REST_INTERVAL if wakeup else interval
        left = pause if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no message")
        (wakeup.wait if wakeup else time.sleep)(min(pause, left))


class HubPolling:
    """Polls *connection* on kombu's event loop *hub*, every *interval* seconds if need be, until it is stopped."""

    def __init__(self, connection: BrokerConnection, hub: "Hub", interval: float) -> None:
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
        self._hub.call_soon(_step_again)


def _step_again() -> None:
    """No-op: the hub finds in this step that the timer is due."""
