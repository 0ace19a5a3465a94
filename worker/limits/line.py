"""Who waits for a permit: urgent calls first, then in order of arrival."""

from __future__ import annotations

import asyncio
from collections import deque

from tasks.base import GivenBack
from tasks.call import Lane
from worker.limits.stock import Permit


class Line:
    """Those who wait, each for a future; who has gone meanwhile is passed over."""

    def __init__(self) -> None:
        self._waiting: dict[Lane, deque[asyncio.Future[Permit | None]]] = {Lane.URGENT: deque(), Lane.ROUTINE: deque()}

    def join(self, lane: Lane) -> asyncio.Future[Permit | None]:
        """A place at the end of *lane*; done when it is that call's turn."""
        turn: asyncio.Future[Permit | None] = asyncio.get_running_loop().create_future()
        self._waiting[lane].append(turn)
        return turn

    def count(self, lane: Lane) -> int:
        """How many wait in *lane*."""
        return sum(not turn.done() for turn in self._waiting[lane])

    def __bool__(self) -> bool:
        return any(not turn.done() for queue in self._waiting.values() for turn in queue)

    def call(self, permit: Permit | None) -> bool:
        """Give the next their permit (None: one of the worker's own); False where nobody waits."""
        if turn := self._next():
            turn.set_result(permit)
        return turn is not None

    def dismiss(self) -> None:
        """Send everybody away with GivenBack."""
        while turn := self._next():
            turn.set_exception(GivenBack())

    def _next(self) -> asyncio.Future[Permit | None] | None:
        for queue in self._waiting.values():
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    return turn
        return None
