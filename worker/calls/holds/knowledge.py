"""What one worker process has learnt of one provider instance, and of our credential there."""

from __future__ import annotations

import time
from collections import OrderedDict
from contextlib import AbstractContextManager
from typing import Final

from worker.calls.holds.acceptance import Acceptance
from worker.calls.holds.breaker import Breaker
from worker.calls.holds.pace import Pace
from worker.calls.holds.trial import Trial

_SOURCES: Final = 1000  # whose pace is remembered


class Known:
    """To be used on one event loop."""

    def __init__(self) -> None:
        self.breaker, self.trial, self.acceptance = Breaker(), Trial(), Acceptance()
        self.era = 0  # how often our credential was replaced
        self._paces: OrderedDict[str, Pace] = OrderedDict()  # source → how its calls go while they are doubted

    def renew(self) -> None:
        """Another credential is in force: what the one before was good for says nothing of it."""
        self.era += 1
        self.breaker.renew()
        self.acceptance = Acceptance()
        self._paces.clear()

    def room(self, source: str, *, is_doubted: bool) -> AbstractContextManager[None]:
        """While a call of *source* is made with our credential; doubted ones take no room of the others."""
        return self.pace(source).inside() if is_doubted else self.trial.inside()

    def pace(self, source: str) -> Pace:
        """How the doubted calls of *source* go."""
        found = self._paces.setdefault(source, Pace(time.monotonic))
        if len(self._paces) > _SOURCES:
            self._paces.popitem(last=False)
        return found

    def forget_paces(self) -> None:
        """Nobody's calls are in doubt any more."""
        self._paces.clear()
