"""What still needs a sealing key: what the ledger knows, and for the rest a quiet period.

Queued calls are in the ledger as soon as they are planned, each with its kid. What is not there are events on their way
to it: in a producer's hands, in the intake's queue, or replayed and not yet planned; queues cannot be searched without
disturbing them. Such an event is used within its budget or given up, and giving up a call names its key in the ledger.
So a key that opened nothing for the longest budget is not needed by anything that is not on record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from worker.cli.sealing_keys import StoredKey
from worker.ledger.keys import KeyNeed
from worker.operations.opening import open_ledger
from worker.operations.text import counted, short_duration

if TYPE_CHECKING:
    from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key and what needs it; None: nobody knows, the ledger is away."""

    stored: StoredKey
    need: KeyNeed | None
    quiet: timedelta  # that it has to be without use

    @property
    def idle(self) -> timedelta:
        """For how long it has opened nothing."""
        times = [self.stored.idle_since, *([self.need.last_used] if self.need and self.need.last_used else [])]
        return datetime.now(UTC) - max(times)

    @property
    def needed_by(self) -> list[str]:
        """Why it must stay, in words; empty where nothing needs it."""
        if self.need is None:
            return ["unknown: the ledger is away"]
        found = {"dead letter": self.need.dead_letters, "call": self.need.calls}
        reasons = [f"{counted(number)} {what}{'s' * (number > 1)}" for what, number in found.items() if number]
        left = self.quiet - self.idle
        return reasons + ([f"events, for {short_duration(left)}"] if left > timedelta() else [])


def quiet_period(settings: Settings) -> timedelta:
    """How long a key must have opened nothing: the longest budget of a call."""
    return max(settings.budgets().values())


def read_needs(settings: Settings) -> Mapping[str, KeyNeed]:
    """What the ledger knows of each key, by kid. Raises LedgerUnavailable."""
    with open_ledger(settings) as ledger:
        return ledger.key_needs(datetime.now(UTC) - quiet_period(settings))


def state_of(stored: StoredKey, needs: Mapping[str, KeyNeed] | None, quiet: timedelta) -> KeyState:
    """The state of one key."""
    return KeyState(stored, None if needs is None else needs.get(stored.kid, KeyNeed()), quiet)
