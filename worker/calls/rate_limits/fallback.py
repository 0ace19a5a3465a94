"""What a worker does while the ledger is away: its own share of the limit, evenly."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from worker.calls.rate_limits.window import Limit

if TYPE_CHECKING:
    import asyncio

logger = logging.getLogger(__name__)

UNKNOWN_WORKERS: Final = 4  # by which a limit is divided until the ledger has answered once


class LocalFallback:
    """Begins when the ledger did not answer for so long that the other workers leave this one its share.

    Even, without catching up: while the others' last calls leave the window at one rate, this worker's enter it at a
    lower one, so together they stay within the limit when it was fully used at an even pace. *serve_next* makes one
    waiting call, and returns whether there was one.
    """

    def __init__(
        self, name: str, limit: Limit, loop: asyncio.AbstractEventLoop, serve_next: Callable[[], bool]
    ) -> None:
        self._name, self._limit, self._loop, self._serve_next = name, limit, loop, serve_next
        self.workers = UNKNOWN_WORKERS  # that share the limit, with this one
        self._next = 0.0
        self._timer = loop.call_later(limit.away, self._begin)
        self._is_active = False

    def postpone(self, since: float) -> None:
        """At the time *since* the ledger was asked, and answered soon enough."""
        if self._is_active:
            logger.warning("limit.shared", extra={"provider": self._name, "workers": self.workers})
        self._is_active = False
        self._timer.cancel()
        self._timer = self._loop.call_at(since + self._limit.away, self._begin)

    def serve(self) -> None:
        """Make a waiting call, if it is time for one; and the next one in its time."""
        now = self._loop.time()
        if self._is_active and now >= self._next and self._serve_next():
            self._next = now + self._limit.period * self.workers / self._limit.calls
            self._timer = self._loop.call_at(self._next, self.serve)

    def end(self) -> None:
        """Do nothing more."""
        self._timer.cancel()
        self._is_active = False

    def _begin(self) -> None:
        logger.warning("limit.alone", extra={"provider": self._name, "workers": self.workers})
        self._is_active, self._next = True, self._loop.time()
        self.serve()
