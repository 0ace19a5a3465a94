"""The way from a limiter to the ledger: off the loop, and with an eye on the database's clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from worker.ledger import Ledger
from worker.ledger.desk import Desk
from worker.limits.steadiness import Sight
from worker.limits.window import Ask, Grant, Limit, Record, lease


class Leasing:
    """Leases one credential's permits in the ledger."""

    def __init__(self, desk: Desk, fingerprint: str, limit: Limit) -> None:
        self._desk, self._fingerprint, self._limit = desk, fingerprint, limit
        self._sight: Sight | None = None
        self._era: int | None = None

    async def __call__(self, ask: Ask) -> Grant:
        """What *ask* gets. Raises LedgerUnavailable."""
        return await self._desk.ask(self._lease(ask))

    def _lease(self, ask: Ask) -> Callable[[Ledger], Grant]:
        def question(ledger: Ledger) -> Grant:
            before = time.monotonic()

            def turn(kept: str, now: float) -> tuple[str, tuple[Grant, Sight]]:
                sight = Sight.of(before, now, time.monotonic())
                steady = self._sight is None or self._sight.agrees(sight)
                record, grant = lease(self._limit, Record.load(kept), replace(ask, steady=steady, era=self._era), now)
                return record.dump(), (grant, sight)

            grant, sight = ledger.change_limit(self._fingerprint, turn)
            self._sight = self._sight.sharpened(sight) if self._sight else sight  # not before it is committed
            self._era = grant.era
            return grant

        return question
