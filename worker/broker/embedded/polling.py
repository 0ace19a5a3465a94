"""When a consumer looks for messages: often while it has some in hand, and at rest when it is told of one."""

import time
from typing import TYPE_CHECKING, Any, Final

from worker.broker.embedded.wakeup import News

if TYPE_CHECKING:
    from kombu.asynchronous import Hub

    from worker.broker.embedded.connection import Session

AT_REST: Final = 0.1  # seconds between two looks for what nobody tells of: a delay that is over, a lease that ran out


def drain_events(session: "Session", timeout: float | None, interval: float) -> None:
    """Poll until something is delivered, every *interval* seconds if need be; TimeoutError after *timeout* seconds."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while not session.poll():
        news = session.rests_on
        pause = AT_REST if news else interval
        left = pause if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no message")
        (news.wait if news else time.sleep)(min(pause, left))


class HubPolling:
    """Polls *session* on kombu's event loop *hub*, every *interval* seconds if need be, until it is stopped."""

    def __init__(self, session: "Session", hub: "Hub", interval: float) -> None:
        self._session, self._hub, self._interval = session, hub, interval
        self._heard: News | None = None  # at rest only: who looks all the time need not be told
        self._timer: Any = hub.call_later(interval, self._look)

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()
        self._hear_of(None)

    def _look(self) -> None:
        try:
            self._session.poll()
        finally:
            if not self._session.closed:
                news = self._session.rests_on
                self._look_in(AT_REST if news else self._interval)
                self._hear_of(news)

    def _look_in(self, seconds: float) -> None:
        self._timer.cancel()
        self._timer = self._hub.call_later(seconds, self._look)

    def _hear_of(self, news: News | None) -> None:
        if news is self._heard:
            return
        if self._heard:
            self._hub.remove_reader(self._heard.descriptor)
        if news:
            self._hub.add_reader(news.descriptor, self._hear, news)
        self._heard = news

    def _hear(self, news: News) -> None:
        news.forget()
        self._look_in(0)
        self._hub.call_soon(_turn_once_more)


def _turn_once_more() -> None:
    """Nothing: in the turn of the hub that it needs the timer is found due."""
