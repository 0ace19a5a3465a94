"""Calls that wait for a permit: urgent ones first, and in each lane the sources in turn.

A worker knows the calls that it took from the broker's queue. Those behind them stay in the broker, in order of
arrival. So that the calls of one source do not keep the others from coming forward, a source that has its share of the
places waits with the rest of its calls in the broker's delay, each until about the time of its permit.
"""

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Final

from tasks.call import Lane
from tasks.runtime import GivenBack
from worker.calls.rate_limits.permits import Permit

HELD_FOR_SOURCE: Final = "turn.source"  # why a call waits: enough others of its source wait for the rate limit
MAX_DELAY: Final = 120.0  # seconds until a call that was put back comes again
_MAX_SOURCES: Final = 1000

_Waiting = asyncio.Future["Permit | None"]


class WaitQueue:
    """A future for each call; those that were cancelled are passed over."""

    def __init__(self) -> None:
        # Lane → source → its calls in order of arrival; the source that is next comes first.
        self._waiting: dict[Lane, OrderedDict[str, deque[_Waiting]]] = {
            lane: OrderedDict() for lane in (Lane.URGENT, Lane.ROUTINE)
        }

    def join(self, lane: Lane, source: str) -> _Waiting:
        """Return a place behind the other calls of *source* in *lane*; done once that call has its permit."""
        place: _Waiting = asyncio.get_running_loop().create_future()
        self._waiting[lane].setdefault(source, deque()).append(place)
        return place

    def counts(self, lane: Lane) -> dict[str, int]:
        """Return how many wait in *lane*, source by source."""
        counted = {each: sum(not place.done() for place in places) for each, places in self._waiting[lane].items()}
        return {source: count for source, count in counted.items() if count}

    def count(self, lane: Lane) -> int:
        """Return how many wait in *lane*."""
        return sum(self.counts(lane).values())

    def __bool__(self) -> bool:
        return any(self.count(lane) for lane in self._waiting)

    def serve(self, permit: Permit | None) -> bool:
        """Give *permit* to the next call (None: one of the worker's own share); return False where none waits."""
        if place := self._next():
            place.set_result(permit)
        return place is not None

    def cancel_pending(self) -> None:
        """Raise GivenBack in every call that waits."""
        while place := self._next():
            place.set_exception(GivenBack())

    def _next(self) -> _Waiting | None:
        for sources in self._waiting.values():
            while sources:
                source, places = sources.popitem(last=False)
                place = _first(places)
                if places:
                    sources[source] = places  # behind the other sources
                if place:
                    return place
        return None


def _first(places: deque[_Waiting]) -> _Waiting | None:
    while places:
        place = places.popleft()
        if not place.done():
            return place
    return None


def has_share(waiting: Mapping[str, int], source: str, places: int) -> bool:
    """Return whether one more call of *source* may wait, where *waiting* do; *places* are those of its queue.

    All sources together take half of the places, in equal shares of one at least: the others are for calls under way,
    and for those that are put back.
    """
    share = max(1, places // 2 // len({*waiting, source}))
    return waiting.get(source, 0) < share and sum(waiting.values()) < max(1, places - 1)


class SourceDelays:
    """When the calls that were put back come again: source by source, as far apart as the limit allows calls."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: OrderedDict[str, float] = OrderedDict()

    def next(self, source: str, spacing: float) -> int:
        """Return whole seconds for one more call of *source*, *spacing* seconds after the one before it."""
        now = self._clock()
        until = max(now, self._until.pop(source, now)) + spacing
        self._until[source] = min(until, now + MAX_DELAY)
        if len(self._until) > _MAX_SOURCES:
            self._until.popitem(last=False)
        return math.ceil(min(MAX_DELAY, max(1.0, until - now)))
