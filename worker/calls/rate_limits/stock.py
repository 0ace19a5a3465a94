"""The permits a worker has leased and not yet used."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

NOWHERE: Final = -1  # the slot of a permit of which it is not known any more where it is booked


@dataclass(frozen=True, slots=True)
class Permit:
    """One call may be made, until *until* on the event loop's clock. *slot* is where it is booked."""

    slot: int
    until: float
    is_ahead: bool = False  # leased before anybody waited for it


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

    def slots(self) -> Mapping[int, int]:
        """How many are good, by the slot where they are booked."""
        self._sort_out(self._clock())
        return Counter(permit.slot for permit in self._permits if permit.slot != NOWHERE)

    def rebook(self, permit: Permit) -> None:
        """All that are here, and those that ran out since `unused` was asked for, are booked as *permit* is."""
        self._permits = deque(each if each.slot == NOWHERE else permit for each in self._permits)
        lost = self._unused.pop(NOWHERE, 0)
        self._unused = Counter({permit.slot: self._unused.total(), NOWHERE: lost})

    def shed(self, most: int) -> None:
        """Put all but *most* of them aside as unused."""
        while len(self._permits) > most:
            self._unused[self._permits.popleft().slot] += 1

    def disown(self) -> None:
        """They stay good, but of none it is known any more where it is booked."""
        self._permits = deque(replace(each, slot=NOWHERE) for each in self._permits)
        self._unused.clear()

    def take(self) -> Permit:
        """The oldest that is good. Raises IndexError where there is none: ask first."""
        return self._permits.popleft()

    def unused(self, at: float) -> Mapping[int, int]:
        """What has run out at the moment *at*, by slot; it is not here any more."""
        self._sort_out(at)
        unused, self._unused = self._unused, Counter()
        del unused[NOWHERE]
        return unused

    def _sort_out(self, now: float) -> None:
        while self._permits and self._permits[0].until <= now:
            self._unused[self._permits.popleft().slot] += 1
