"""A figure that is looked at now and then, and remembered between."""

import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

REST: Final = 20.0  # times as long as a look took, at least until the next one: a twentieth of the time is enough
KEPT_INTERVALS, KEPT_SECONDS = 4.0, 30.0  # for which it is shown unrenewed, whichever is longer

T = TypeVar("T")


class Snapshot(Generic[T]):
    """What was found last; *nothing* once that is too old: an old figure would be taken for a new one.

    Any thread may read `value`. A look is due every *interval* seconds. *clock* is monotonic, in seconds.
    """

    def __init__(self, interval: float, nothing: T, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval, self._nothing, self._clock = interval, nothing, clock
        self._found, self._until, self._next_at = nothing, 0.0, 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time for a look."""
        return self._clock() >= self._next_at

    def keep(self, found: T, seconds: float) -> None:
        """Remember what was *found* by a look that took *seconds*."""
        rest = self.postpone(seconds)
        self._found, self._until = found, self._clock() + rest + max(KEPT_INTERVALS * self._interval, KEPT_SECONDS)

    def postpone(self, seconds: float = 0.0) -> float:
        """Have the next look wait after one that took *seconds*; returns for how long."""
        rest = max(self._interval, REST * seconds)
        self._next_at = self._clock() + rest
        return rest

    @property
    def value(self) -> T:
        """What was found last."""
        return self._found if self._clock() < self._until else self._nothing
