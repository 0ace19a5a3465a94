"""Routine calls begin a few in each turn of the event loop: an urgent one shares the turns with few others.

A call is a dozen steps of the loop, and a step of one waits for a step of all others that are ready. With a thousand
calls begun at once somebody who was dismissed waits in each step for a thousand sessions that were over anyway.
Whoever waits here takes no step. Calls that wait for their provider take none either: as many as ever are in flight.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

AT_ONCE: Final = 4  # calls: about forty steps, some milliseconds, to a turn


class Turnstile:
    """Lets AT_ONCE through in each turn of *loop*, in the order in which they came."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._turns = False  # whether the next turn is asked for

    async def passing(self) -> None:
        """Wait for one's turn; whoever is cancelled meanwhile takes no place."""
        mine: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(mine)
        self._ask()
        await mine

    def _ask(self) -> None:
        if not self._turns and self._waiting:
            self._turns = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turns, left = False, AT_ONCE
        while self._waiting and left:
            mine = self._waiting.popleft()
            if not mine.done():
                mine.set_result(None)
                left -= 1
        self._ask()
