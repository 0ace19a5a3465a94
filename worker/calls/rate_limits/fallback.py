"""What a worker does when it does not see the others: its own share of the limit, evenly."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from worker.calls.rate_limits.window import Limit

if TYPE_CHECKING:
    import asyncio

logger = logging.getLogger(__name__)

STRANGERS: Final = 4  # workers a limit is divided by where the ledger never told how many there are


class Alone:
    """Begins when the others were not seen for so long that they leave this worker its share.

    Even, without catching up: while the others' last calls leave the window at one rate, this worker's enter it at a
    lower one, so together they stay within the limit when it was fully used at an even pace. *call* makes one waiting
    call, and tells whether there was one.
    """

    def __init__(self, name: str, limit: Limit, loop: asyncio.AbstractEventLoop, call: Callable[[], bool]) -> None:
        self._name, self._limit, self._loop, self._call = name, limit, loop, call
        self._workers = STRANGERS
        self._next = 0.0
        self._made: deque[float] = deque()
        self._timer = loop.call_later(limit.away, self._begin)
        self.going = False

    def told(self, workers: int, since: float) -> None:
        """So many share the limit, with this one; of the calls made before *since* they know now."""
        self._workers = workers
        while self._made and self._made[0] <= since:
            self._made.popleft()

    def sighted(self, since: float) -> None:
        """At the time *since* the others were there, and answered soon enough."""
        if self.going:
            logger.warning("limit.shared", extra={"provider": self._name, "workers": self._workers})
        self.going = False
        self._timer.cancel()
        self._timer = self._loop.call_at(since + self._limit.away, self._begin)

    def serve(self) -> None:
        """Make a waiting call, if it is time for one; and the next one in its time."""
        now = self._loop.time()
        if self.going and now >= self._next and self._call():
            self._made.append(now)
            self._next = now + self._limit.period * self._workers / self._limit.calls
            self._timer = self._loop.call_at(self._next, self.serve)

    def ages(self, now: float) -> tuple[float, ...]:
        """How long ago the calls were made that the others do not know of, as far as they still matter."""
        while self._made and now - self._made[0] >= self._limit.period:
            self._made.popleft()
        return tuple(now - made for made in self._made)

    def end(self) -> None:
        """Do nothing more."""
        self._timer.cancel()
        self.going = False

    def _begin(self) -> None:
        logger.warning("limit.alone", extra={"provider": self._name, "workers": self._workers})
        self.going, self._next = True, self._loop.time()
        self.serve()
