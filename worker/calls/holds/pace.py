"""How the calls of a source go while it is not known whether what they name is refused, or our credential."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

AT_ONCE: Final = 10  # calls
FREELY: Final = 100  # calls that go as soon as there is room
QUICK, SLOW = 0.1, 1.0  # seconds between two calls: while they go freely, and afterwards


class Pace:
    """Of one source at one provider, from the first doubt until the credential is accepted. *clock* is monotonic.

    Each call that was never tried may go once, so a living reference waits for no dead one of somebody else, and for
    few of its own source: AT_ONCE of them, and after FREELY one a second, so that a bad key is not hammered.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._inside = self._gone = 0
        self._next = self._promised = clock()

    def wait(self) -> int:
        """0: a call may go now. Else the whole seconds after which it may come again."""
        now = self._clock()
        if self._inside < AT_ONCE and now >= self._next:
            return 0
        self._promised = max(now, self._promised) + self._spacing
        return math.ceil(max(1.0, self._promised - now))

    @contextmanager
    def inside(self) -> Iterator[None]:
        """While a call is made."""
        self._inside += 1
        self._gone += 1
        self._next = self._clock() + (0.0 if self._gone < FREELY else SLOW)
        try:
            yield
        finally:
            self._inside -= 1

    @property
    def _spacing(self) -> float:
        return QUICK if self._gone < FREELY else SLOW
