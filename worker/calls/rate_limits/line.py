"""Who waits for a permit: urgent calls first, and in each lane the sources in turn."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

from tasks.call import Lane
from tasks.runtime import GivenBack
from worker.calls.rate_limits.stock import Permit

_Turn = asyncio.Future["Permit | None"]


class Line:
    """Those who wait, each for a future; who has gone meanwhile is passed over."""

    def __init__(self) -> None:
        # Lane → source → its calls in order of arrival; the source whose turn is next comes first.
        self._waiting: dict[Lane, OrderedDict[str, deque[_Turn]]] = {
            lane: OrderedDict() for lane in (Lane.URGENT, Lane.ROUTINE)
        }

    def join(self, lane: Lane, source: str) -> _Turn:
        """A place behind the other calls of *source* in *lane*; done when it is that call's turn."""
        turn: _Turn = asyncio.get_running_loop().create_future()
        self._waiting[lane].setdefault(source, deque()).append(turn)
        return turn

    def counts(self, lane: Lane) -> dict[str, int]:
        """How many wait in *lane*, source by source."""
        counted = {each: sum(not turn.done() for turn in turns) for each, turns in self._waiting[lane].items()}
        return {source: count for source, count in counted.items() if count}

    def count(self, lane: Lane) -> int:
        """How many wait in *lane*."""
        return sum(self.counts(lane).values())

    def __bool__(self) -> bool:
        return any(self.count(lane) for lane in self._waiting)

    def call(self, permit: Permit | None) -> bool:
        """Give the next their permit (None: one of the worker's own); False where nobody waits."""
        if turn := self._next():
            turn.set_result(permit)
        return turn is not None

    def dismiss(self) -> None:
        """Send everybody away with GivenBack."""
        while turn := self._next():
            turn.set_exception(GivenBack())

    def _next(self) -> _Turn | None:
        for sources in self._waiting.values():
            while sources:
                source, turns = sources.popitem(last=False)
                turn = _first(turns)
                if turns:
                    sources[source] = turns  # behind the other sources
                if turn:
                    return turn
        return None


def _first(turns: deque[_Turn]) -> _Turn | None:
    while turns:
        turn = turns.popleft()
        if not turn.done():
            return turn
    return None
