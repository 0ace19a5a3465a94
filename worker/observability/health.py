"""Whether this process lives, has started, and is ready: what its own loop tells, and what whoever asks is told.

It lives while its loop gives signs, whatever becomes of the broker: who restarts a process because a broker is away
has two things to mend. It is ready while it is connected and consumes its queues; the queues of a held provider are
none of them. Any thread may ask; the thread of the loop tells.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from worker.settings.sections import MonitoringSettings

# Seconds on top that a connection may take: a resolver that does not answer is asked for each search domain in turn.
CONNECT_TIME: Final = 120.0
BEAT_INTERVAL: Final = 1.0  # seconds between two signs of an event loop
MIGRATION_TIME: Final = 3600.0  # seconds on top that the ledger's migrations may take


@dataclass(frozen=True, slots=True)
class Answer:
    """Yes or no, and why."""

    is_yes: bool
    why: str


class Health:
    """What a process knows of itself; *clock* is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.last_activity = 0.0  # when the consumer took messages or had room for more, in seconds since 1970
        self._clock = clock
        self._allowed = MonitoringSettings().stalled_after
        self._sign_at = self._next_sign_by = clock()
        self._missing: str | None = "the broker was not reached yet"
        self._has_topology = False
        self._working, self._begun = "connected and consuming", "exchanges and queues are there"

    def begin(self, stalled_after: float) -> None:
        """Watch the loop from now on: it is to give a sign every *stalled_after* seconds."""
        self._allowed = stalled_after
        self.beat()

    def beat(self, wait: float = 0.0) -> None:
        """Give a sign of the loop; the next one may take *wait* seconds longer than others."""
        self._sign_at = self._clock()
        self._next_sign_by = self._sign_at + self._allowed + wait

    def topology_seen(self) -> None:
        """Note that every exchange and queue is there."""
        self._has_topology = True

    def works(self, how: str) -> None:
        """Note that a process without queues of its own has started and is ready: *how* says in a word."""
        self._working = self._begun = how
        self._missing, self._has_topology = None, True

    def consuming(self) -> None:
        """Note that every queue is consumed that is not held."""
        self._missing = None

    def not_consuming(self, why: str) -> None:
        """Note that it is not, and *why*: in words that name no user and no password."""
        self._missing = why

    def active(self) -> None:
        """Note that the consumer took messages, or is connected and had room for more."""
        self.last_activity = time.time()

    @property
    def live(self) -> Answer:
        """Whether the loop gives signs."""
        silent = self._clock() - self._sign_at
        if self._clock() > self._next_sign_by:
            return Answer(is_yes=False, why=f"no sign of the loop for {silent:.0f} s")
        return Answer(is_yes=True, why=f"last sign of the loop {silent:.1f} s ago")

    @property
    def started(self) -> Answer:
        """Whether exchanges and queues were there once."""
        why = self._begun if self._has_topology else "exchanges and queues were not seen yet"
        return Answer(is_yes=self._has_topology, why=why)

    @property
    def ready(self) -> Answer:
        """Whether it is connected and consumes its queues, and lives."""
        if not self.live.is_yes:
            return self.live
        return Answer(is_yes=self._missing is None, why=self._missing or self._working)


OF_PROCESS: Final = Health()
"""That of this process."""


async def keep_beating() -> None:
    """Give signs of the event loop that this runs on, for ever."""
    while True:
        OF_PROCESS.beat()
        await asyncio.sleep(BEAT_INTERVAL)
