"""One source that is looked at: the law of every look, whatever its kind.

The events that a look found are safe before the place of the next one is kept. So a process that is killed in between
finds them once more, and their ids are known.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from tasks.doors import ForeignEvent
from tasks.doors.pull import AccountPuller, Found, Puller, PullFailed
from tasks.doors.swept import Finding
from tasks.events import InvalidEvent
from tasks.retry import RetryPolicy
from worker.database.cipher import UnreadableRow
from worker.database.errors import LedgerUnavailable
from worker.doors.accounts import DoorAccounts
from worker.doors.delivery import Delivery, NotSafe
from worker.doors.outbox import OutgoingEvent
from worker.doors.sweeping.cursors import LEASE, Cursors, LeaseLost, Turn
from worker.doors.sweeping.findings import Sorting
from worker.observability import metrics

logger = logging.getLogger(__name__)

LONGEST_WAIT: Final = timedelta(seconds=5)  # between two questions whose turn it is
_RETRY: Final = RetryPolicy(retry_after_cap=86_400)
_LONGEST_RETRY: Final = timedelta(seconds=_RETRY.cap)


@dataclass(slots=True)
class Sweeper:
    """Looks at the source of the door *name* for ever, a look every *interval*, whenever it is this process's turn."""

    name: str
    puller: Puller
    interval: timedelta
    sorting: Sorting
    cursors: Cursors
    delivery: Delivery
    failures: int = 0  # in a row
    looked_at: datetime | None = None  # when the last look came through

    async def run(self) -> None:
        """Look for ever."""
        while True:
            pause = await self.look()
            await asyncio.sleep(min(pause, LONGEST_WAIT).total_seconds())  # a push may ask for a look before its time

    async def look(self) -> timedelta:
        """Look once, if it is this process's turn; return for how long to wait then."""
        try:
            turn = await self.cursors.turn(self.name)
            if isinstance(turn, timedelta):
                return min(turn, LONGEST_WAIT)
            return await self._looked(turn)
        except LeaseLost:
            logger.warning("sweep.lease_lost", extra={"door": self.name})
        except (LedgerUnavailable, UnreadableRow) as error:
            logger.warning("sweep.ledger_away", extra={"door": self.name, "error": str(error)})
        return LONGEST_WAIT

    async def _looked(self, turn: Turn) -> timedelta:
        try:
            return await self._settled(await self._pulled(turn.cursor))
        except PullFailed as error:
            return await self._failed(error.reason, error.retry_after)
        except NotSafe:
            return await self._failed("not_safe")
        except (LeaseLost, LedgerUnavailable):
            raise
        except Exception as bug:  # of one kind: the other sources are looked at all the same
            logger.exception("sweep.fault", extra={"door": self.name})
            return await self._failed(f"bug.{type(bug).__name__}")

    async def _pulled(self, cursor: str | None) -> Found:
        """Return what is there, with the lease held for as long as that takes. Raises PullFailed, LeaseLost."""
        pulling = asyncio.ensure_future(self.puller.pull(cursor, datetime.now(UTC)))
        try:
            while not (await asyncio.wait([pulling], timeout=LEASE.total_seconds() / 3))[0]:
                await self.cursors.hold(self.name)
            return pulling.result()
        finally:
            pulling.cancel()
            await asyncio.gather(pulling, return_exceptions=True)

    async def _settled(self, found: Found) -> timedelta:
        """Make what was *found* safe, then have the next look begin behind it; return the time until then."""
        pause = timedelta() if found.more else self.interval
        if isinstance(self.puller, AccountPuller):
            counted = await self._transacted(self.puller, found, pause)
        else:
            counted = await self._secured(found, pause)
        if found.refused:
            counted[Finding.REFUSED] += sum(found.refused.values())
            logger.warning("sweep.refused", extra={"door": self.name, **found.refused})
        for finding, count in counted.items():
            metrics.SWEEP_EVENTS.add(self.name, finding, count=count)
        if counted or self.failures:
            about = {finding.value: count for finding, count in counted.items()}
            logger.info("sweep.looked", extra={"door": self.name, **about})
        self.failures, self.looked_at = 0, datetime.now(UTC)
        return pause

    async def _secured(self, found: Found, pause: timedelta) -> Counter[Finding]:
        now = datetime.now(UTC)
        known = await self.sorting.known(found.events)
        findings = [(each, self._finding(each, known, now)) for each in found.events]
        new = [each for each, finding in findings if finding not in {Finding.KNOWN, Finding.REFUSED}]
        await self.delivery.secure([*map(self.sorting.outgoing, new)])
        counted = Counter(finding for _, finding in findings)
        await self.cursors.moved(self.name, found.cursor, pause, counted[Finding.MISSED])
        return counted

    async def _transacted(self, puller: AccountPuller, found: Found, pause: timedelta) -> Counter[Finding]:
        """Commit accounts, events and cursor together."""
        now = datetime.now(UTC)

        def judged(connection: Connection) -> tuple[Counter[Finding], Sequence[OutgoingEvent]]:
            accounts = DoorAccounts(connection, self.cursors.cipher, self.name)
            findings = [(each, self._finding(each, (), now)) for each in puller.settle(found.news, accounts, now)]
            counted = Counter(finding for _, finding in findings)
            self.cursors.move(connection, self.name, found.cursor, pause, counted[Finding.MISSED])
            return counted, [self.sorting.outgoing(each) for each, finding in findings if finding != Finding.REFUSED]

        return await self.delivery.transact(judged)

    def _finding(self, event: ForeignEvent, known: Collection[str], now: datetime) -> Finding:
        parsed = event.parsed(self.sorting.source, now)
        if isinstance(parsed, InvalidEvent):
            logger.warning("door.no_event", extra={"door": self.name, "code": parsed.code.value, "at": parsed.pointer})
            return Finding.REFUSED
        return self.sorting.finding(event, known, now)

    async def _failed(self, reason: str, retry_after: float | None = None) -> timedelta:
        """Leave the source alone for a while, longer each time, and as long as it asks; return for how long."""
        self.failures += 1
        seconds = _RETRY.next_delay(min(self.failures, _RETRY.max_attempts - 1), math.inf, retry_after)
        pause = _LONGEST_RETRY if seconds is None else timedelta(seconds=seconds)
        metrics.SWEEP_FAILURES.add(self.name)
        about = {"door": self.name, "reason": reason, "failures": self.failures, "again_in_s": pause.total_seconds()}
        logger.log(logging.WARNING if self.failures > 1 else logging.INFO, "sweep.failed", extra=about)
        await self.cursors.failed(self.name, reason, pause)
        return pause
