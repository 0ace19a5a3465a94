"""The permits that a worker leases ahead: an urgent call takes one at once, however busy the ledger is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from worker.calls.rate_limits.stock import Permit, Stock
from worker.calls.rate_limits.window import Ask, Grant, Limit


class Spare:
    """At most *most* in all workers together, and as many more as were taken since the last look."""

    def __init__(self, most: int, limit: Limit, clock: Callable[[], float]) -> None:
        self._most, self._limit = most, limit
        self._stock = Stock(clock)
        self._wanted = 0
        self._taken = 0  # since the ledger was asked
        self._is_asked = self._is_refused = False

    @property
    def is_low(self) -> bool:
        """Whether it is time to look for more."""
        return 2 * sum(self._stock.slots().values()) < self._wanted and not self._is_refused

    def take(self) -> Permit | None:
        """One of them, if there is one."""
        if not self._stock:
            return None
        self._taken += 1
        return self._stock.take()

    def give_back(self, permit: Permit) -> None:
        """Have it again; while the ledger is asked, nobody would know where it is booked, so then it is gone."""
        self._taken -= 1
        if not self._is_asked:
            self._stock.add(permit)

    def asked(self, ask: Ask, workers: int) -> Ask:
        """*ask*, with what is wanted, and what became of the permits."""
        if ask.leaves:
            return replace(ask, unused_ahead=self._stock.unused(math.inf))
        self._wanted = min(self._limit.calls // 3, math.ceil(self._most / workers) + self._taken)
        self._stock.shed(self._wanted)
        kept = self._stock.slots()
        unused = self._stock.unused(-math.inf)  # those that run out from here on are among the kept
        self._taken, self._is_asked = 0, True
        missing = max(0, self._wanted - sum(kept.values()))
        return replace(ask, ahead=missing, unused_ahead=unused, kept_ahead=kept)

    def told(self, ask: Ask, grant: Grant, began: float) -> None:
        """Take over what *ask*, made when it *began*, was granted."""
        permit = Permit(grant.slot, began + self._limit.lasting, is_ahead=True)
        if grant.kept_ahead == sum(ask.kept_ahead.values()):
            self._stock.rebook(permit)
        else:  # the database's clock was set
            self._stock.disown()
        self._stock.add(permit, grant.ahead)
        self._is_asked, self._is_refused = False, grant.ahead < ask.ahead

    def not_told(self) -> None:
        """Nobody knows whether the ledger booked anew what is here: it is used up, and told of no more."""
        self._stock.disown()
        self._is_asked, self._is_refused = False, True
