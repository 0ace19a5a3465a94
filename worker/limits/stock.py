"""The permits a worker has leased and not yet used."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Permit:
    """One call may be made, until *until* on the event loop's clock. *slot* is where it is booked."""

    slot: int
    until: float


class Stock:
    """Permits, the oldest first; those that ran out are kept apart to be handed back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._permits: deque[Permit] = deque()
        self._unused: Counter[int] = Counter()

    def add(self, permit: Permit, count: int = 1) -> None:
        """Put *count* permits of a kind in."""
        self._permits.extend([permit] * count)

    def __bool__(self) -> bool:
        self._sort_out(self._clock())
        return bool(self._permits)

    def take(self) -> Permit:
        """The oldest that is good. Raises IndexError where there is none: ask first."""
        return self._permits.popleft()

    def unused(self, at: float) -> Mapping[int, int]:
        """What has run out at the moment *at*, by slot; it is not here any more."""
        self._sort_out(at)
        unused, self._unused = self._unused, Counter()
        return unused

    def _sort_out(self, now: float) -> None:
        while self._permits and self._permits[0].until <= now:
            self._unused[self._permits.popleft().slot] += 1
