"""The way from a limiter to the ledger: off the loop, and with an eye on the database's clock."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Final, TypeVar

from worker.ledger import Ledger
from worker.limits.steadiness import Sight
from worker.limits.window import Ask, Grant, Limit, Record, lease

T = TypeVar("T")

PATIENCE: Final = 2.0  # seconds for a lock in the database: later a permit would be too old to use


class SharedLedger:
    """The ledger of this process's limiters, opened at the first use: while it cannot be, revocations go on."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ledger: Ledger | None = None
        self._opening = threading.Lock()

    def __call__(self) -> Ledger:
        """The ledger. Raises LedgerUnavailable."""
        with self._opening:
            self._ledger = self._ledger or Ledger.open(self._url, PATIENCE)
            return self._ledger

    def close(self) -> None:
        """Give its connections back."""
        if self._ledger:
            self._ledger.close()


class Leasing:
    """Leases one credential's permits in the ledger."""

    def __init__(self, ledger: Callable[[], Ledger], fingerprint: str, limit: Limit) -> None:
        self._ledger, self._fingerprint, self._limit = ledger, fingerprint, limit
        self._sight: Sight | None = None
        self._era: int | None = None

    async def __call__(self, ask: Ask) -> Grant:
        """What *ask* gets. Raises LedgerUnavailable."""
        return await in_thread(self._lease, ask)

    def _lease(self, ask: Ask) -> Grant:
        before = time.monotonic()

        def turn(kept: str, now: float) -> tuple[str, tuple[Grant, Sight]]:
            sight = Sight.of(before, now, time.monotonic())
            steady = self._sight is None or self._sight.agrees(sight)
            record, grant = lease(self._limit, Record.load(kept), replace(ask, steady=steady, era=self._era), now)
            return record.dump(), (grant, sight)

        grant, sight = self._ledger().change_limit(self._fingerprint, turn)
        self._sight = self._sight.sharpened(sight) if self._sight else sight  # not before it is committed
        self._era = grant.era
        return grant


async def in_thread(function: Callable[..., T], *args: object) -> T:
    """What blocking *function* returns."""
    return await asyncio.wrap_future(begun(function, *args))


def begun(function: Callable[..., T], *args: object) -> Future[T]:
    """Blocking *function*, under way. Its thread is nobody's: no stop waits for a database that does not answer."""
    done: Future[T] = Future()

    def run() -> None:
        done.set_running_or_notify_cancel()
        try:
            done.set_result(function(*args))
        except Exception as error:  # noqa: BLE001 - it is told to whoever waits
            done.set_exception(error)

    threading.Thread(target=run, name="ledger", daemon=True).start()
    return done
