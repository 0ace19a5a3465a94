"""How much of a queue's places the calls of one source may wait in; what is more goes back behind the others.

The line knows the calls that a worker took from the queue. Those behind them stay in the broker, in order of arrival;
so that the calls of one source there do not keep the others from coming forward, a source that has its share waits with
the rest of its calls in the broker's delay, each until about its turn.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

REASON: Final = "turn.source"  # why a call waits: enough others of its source wait for the rate limit
LONGEST: Final = 120.0  # seconds until a call that was put back looks again
_REMEMBERED: Final = 1000  # sources


def has_share(waiting: Mapping[str, int], source: str, places: int) -> bool:
    """Whether one more call of *source* may wait, where *waiting* are in line; *places* are those of its queue.

    All sources together take half of the places, in equal shares of one at least: the others are for calls under way,
    and for those that are put back.
    """
    share = max(1, places // 2 // len({*waiting, source}))
    return waiting.get(source, 0) < share and sum(waiting.values()) < max(1, places - 1)


class Promises:
    """When the calls that were put back come again: source by source, as far apart as the limit allows calls."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: OrderedDict[str, float] = OrderedDict()

    def next(self, source: str, spacing: float) -> int:
        """Whole seconds for one more call of *source*, *spacing* seconds after the one before it."""
        now = self._clock()
        until = max(now, self._until.pop(source, now)) + spacing
        self._until[source] = min(until, now + LONGEST)
        if len(self._until) > _REMEMBERED:
            self._until.popitem(last=False)
        return math.ceil(min(LONGEST, max(1.0, until - now)))
