"""Users whom the source that disabled them has enabled again: an older call for all their sessions is not made.

What decides is exact, as for everything that spares a token: the source, the provider instance and the user's id there.
The times are those of the events, and only a later one counts: at the same moment the user is disabled. So the order of
delivery does not matter, and a user who is disabled once more is logged out. A `user.enabled` whose time lies ahead of
ours counts from when it came, so that a clock that is ahead spares nobody who is disabled next.

Sessions that a `user.disabled` lists are ended all the same. Their tokens were issued before, so nobody who logged in
since loses one.

Each worker follows the ledger, about a second behind. While that is away it goes by what it last knew, and makes a call
too many.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Final

from tasks.call import ProviderCall
from tasks.events import USER_DISABLED
from tasks.outcome import Settled, State
from worker.database.errors import LedgerUnavailable
from worker.database.thread import DatabaseThread
from worker.ledger.enabled import EnabledRow, enabled_since

logger = logging.getLogger(__name__)

LOOK_INTERVAL: Final = 1.0  # seconds between two looks at the ledger
START_TIMEOUT: Final = 2.0  # seconds that the first calls wait for the first look, at most
MAX_USERS: Final = 20_000  # the last that were enabled; far more than floods let pass while calls are tried
ENABLED_BY: Final = "enabled_by"  # the detail that names the event

_User = tuple[str, str]  # source, keyed hash of the provider instance and the user's id there


class EnabledUsers:
    """Those that one worker process knows. To be used on one event loop."""

    def __init__(self, thread: DatabaseThread, most: int = MAX_USERS) -> None:
        self._thread, self._most = thread, most
        self._enabled: OrderedDict[_User, EnabledRow] = OrderedDict()
        self._seen = 0  # the ledger's last change that was looked at

    def known_of(self, call: ProviderCall) -> Settled | None:
        """Return that *call* is superseded, where its user was enabled after it was asked for."""
        if call.event_type != USER_DISABLED or call.user_id is None or call.target_key is None:
            return None
        found = self._enabled.get((call.source, call.target_key))
        if found is None or not _is_later(found, call):
            return None
        return Settled(State.SUPERSEDED, "a later user.enabled", {ENABLED_BY: found.event_id})

    def learn(self, rows: Iterable[EnabledRow]) -> None:
        """Remember whom *rows* name; of one user the latest time counts, in whatever order they come."""
        for row in rows:
            user = row.source, row.target
            known = self._enabled.get(user)
            if known is None or row.enabled_at > known.enabled_at:
                self._enabled[user] = row
                self._enabled.move_to_end(user)
            self._seen = max(self._seen, row.change)
        while len(self._enabled) > self._most:
            self._enabled.popitem(last=False)

    async def start(self) -> None:
        """Learn what is known already; a ledger that does not answer is not waited for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(START_TIMEOUT):
                await self.look()

    async def keep(self) -> None:
        """Look at the ledger again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            await self.look()

    async def look(self) -> None:
        """Learn what is new in the ledger. One that was away may be another one when it is back: it is read anew."""
        try:
            rows = await self._thread.run(partial(enabled_since, seen=self._seen, most=self._most))
        except LedgerUnavailable:  # logged with the holds and the limits
            self._seen = 0
        except Exception:
            logger.exception("enabled.fault")  # a bug; what is known stays
        else:
            self.learn(rows)


def _is_later(enabled: EnabledRow, call: ProviderCall) -> bool:
    """Whether the user was enabled after *call* was asked for.

    Of a call that an operator replayed the event must also have come after that: whoever forced the replay overruled
    what was known.
    """
    if call.replays and call.planned_at is not None and enabled.received_at <= call.planned_at:
        return False
    return enabled.enabled_at > call.occurred_at
