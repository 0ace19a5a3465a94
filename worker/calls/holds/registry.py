"""Which holds stand, as this process knows them. Pure: no clock of its own, no database."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from worker.calls.holds.hold import Hold, Key, OpenedBy, Scope


class BreakerState(IntEnum):
    """What becomes of the calls to a provider: a metric's value, never renumbered."""

    CLOSED = 0  # they are made
    HALF_OPEN = 1  # one may go as a probe
    OPEN = 2  # they wait: for its failures, or as it asked
    HELD_BY_OPERATOR = 3


@dataclass(frozen=True, slots=True)
class ActiveHold:
    """A hold, and when it ends or may be probed, on the monotonic clock."""

    hold: Hold
    due: float


class HoldRegistry:
    """The holds by key. *clock* is monotonic, in seconds; *now* returns the time of the world.

    *worker_only* are the providers all of whose calls are made with the worker's own credential. A hold written by
    another machine, whose clock may be wrong, lasts *longest* seconds at most; an operator's ends when it was to end.
    Any thread may look; one may change it.
    """

    def __init__(
        self, worker_only: Collection[str], longest: float, clock: Callable[[], float], now: Callable[[], datetime]
    ) -> None:
        self._worker_only, self._longest = worker_only, longest
        self._clock, self._now = clock, now
        # By provider, so that a look at one costs the same however many are held. What stands for a provider is
        # replaced, never changed: other threads look at it.
        self._active: dict[str, Mapping[Key, ActiveHold]] = {}

    def blocking(self, provider: str, *, own_credential: bool, source: str = "") -> list[ActiveHold]:
        """Return what a call to *provider* waits for that *source* asked for."""
        return [each for each in self.of(provider) if each.hold.blocks(own_credential=own_credential, source=source)]

    def of(self, provider: str) -> list[ActiveHold]:
        """Return every hold of *provider*."""
        return [each for each in self._active.get(provider, {}).values() if not self._is_over(each)]

    def is_paused(self, provider: str) -> bool:
        """Whether no call at all may go: then its queues need not be consumed."""
        return bool(self._pausing(provider))

    def may_probe(self, provider: str) -> bool:
        """Whether one of the calls that wait in the queues of *provider* may go as the probe."""
        pausing = self._pausing(provider)
        return bool(pausing) and self.are_due(pausing)

    def state(self, provider: str) -> BreakerState:
        """Return how *provider* stands for the calls of every source."""
        holds = [each for each in self.of(provider) if not each.hold.source]
        if not holds:
            return BreakerState.CLOSED
        if any(each.hold.opened_by is OpenedBy.OPERATOR for each in holds):
            return BreakerState.HELD_BY_OPERATOR
        return BreakerState.HALF_OPEN if self.are_due(holds) else BreakerState.OPEN

    def are_due(self, blocking: Iterable[ActiveHold]) -> bool:
        """Whether the next call that *blocking* hold up may go as the probe of all."""
        return all(each.hold.is_probed and self.seconds_left(each) == 0 for each in blocking)

    def seconds_left(self, active: ActiveHold) -> float:
        """How long until it ends, or may be probed."""
        return max(0.0, active.due - self._clock())

    def put(self, hold: Hold, wait: float) -> None:
        """Have *hold* stand from now on, *wait* seconds until its end or its next probe."""
        known = self._active.get(hold.provider, {})
        self._active[hold.provider] = {**known, hold.key: ActiveHold(hold, self._clock() + wait)}

    def drop(self, key: Key) -> None:
        """Have it stand no more."""
        provider, *_ = key
        self._active[provider] = {known: each for known, each in self._active.get(provider, {}).items() if known != key}

    def get(self, key: Key) -> ActiveHold | None:
        """Return the hold of *key*, where it stands."""
        known = self._known(key)
        return None if known is None or self._is_over(known) else known

    def merge(self, rows: Iterable[Hold], own: Collection[Key]) -> set[str]:
        """Take over *rows* of the ledger, which lacks the changes of *own*; return the providers whose hold is over."""
        before, merged = self._active, defaultdict[str, dict[Key, ActiveHold]](dict)
        for row in rows:
            if row.key not in own:
                merged[row.provider][row.key] = self._merged(row)
        for key in own:
            if known := self._known(key):
                merged[key[0]][key] = known
        self._active = dict(merged)
        return {provider for provider, each in before.items() if each.keys() - self._active.get(provider, {}).keys()}

    def _merged(self, row: Hold) -> ActiveHold:
        known = self._known(row.key)
        if known and known.hold.since == row.since and known.hold.version >= row.version:
            return known
        left = max(0.0, (row.until - self._now()).total_seconds())
        left = left if row.opened_by is OpenedBy.OPERATOR else min(left, self._longest)
        return ActiveHold(row, self._clock() + left)

    def _known(self, key: Key) -> ActiveHold | None:
        return self._active.get(key[0], {}).get(key)

    def _pausing(self, provider: str) -> list[ActiveHold]:
        all_own = provider in self._worker_only
        blocking = self.blocking(provider, own_credential=all_own)
        return blocking if all_own else [each for each in blocking if each.hold.scope is Scope.ALL]

    def _is_over(self, active: ActiveHold) -> bool:
        return not active.hold.is_probed and self._clock() >= active.due
