"""Which holds stand, as this process knows them. Pure: no clock of its own, no database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from worker.calls.holds.hold import Hold, Key, Opener, Scope


@dataclass(frozen=True, slots=True)
class Standing:
    """A hold, and when it ends or may be probed, on a clock that nobody sets."""

    hold: Hold
    due: float


class Board:
    """The holds by key. *clock* is monotonic, in seconds; *now* tells the time of the world.

    *worker_only* are the providers all of whose calls are made with the worker's own credential; *longest* seconds is
    the most that a hold written by another machine, whose clock may be wrong, is believed to last. Operators' holds
    last as long as they say. Any thread may look; one may change it.
    """

    def __init__(
        self,
        worker_only: Collection[str],
        longest: float,
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._worker_only, self._longest = worker_only, longest
        self._clock, self._now = clock, now
        self._standing: Mapping[Key, Standing] = {}  # replaced, never changed: other threads look at it

    def blocking(self, provider: str, *, ours: bool, source: str = "") -> list[Standing]:
        """What a call to *provider* that *source* asked for waits for; *ours*: with the worker's own credential."""
        return [each for each in self.of(provider) if each.hold.covers(ours=ours, source=source)]

    def of(self, provider: str) -> list[Standing]:
        """Every hold of *provider*, whose calls ever it covers."""
        if not self._standing:
            return []
        return [each for (name, *_), each in self._standing.items() if name == provider and not self._is_over(each)]

    def shuts(self, provider: str) -> bool:
        """Whether no call at all may go: then its queues need not be consumed."""
        return bool(self._shutting(provider))

    def may_probe(self, provider: str) -> bool:
        """Whether one of the calls that wait in the queues of *provider* may go as the probe."""
        shutting = self._shutting(provider)
        return bool(shutting) and all(each.hold.is_probed and self.seconds_left(each) == 0 for each in shutting)

    def seconds_left(self, standing: Standing) -> float:
        """How long until it ends, or may be probed."""
        return max(0.0, standing.due - self._clock())

    def put(self, hold: Hold, wait: float) -> None:
        """Have *hold* stand from now on, *wait* seconds until its end or its next probe."""
        self._standing = {**self._standing, hold.key: Standing(hold, self._clock() + wait)}

    def drop(self, key: Key) -> None:
        """Have it stand no more."""
        self._standing = {known: each for known, each in self._standing.items() if known != key}

    def get(self, key: Key) -> Standing | None:
        """The hold of *key*, where it stands."""
        known = self._standing.get(key)
        return None if known is None or self._is_over(known) else known

    def merge(self, rows: Iterable[Hold], mine: Collection[Key]) -> set[str]:
        """Take over what all workers know, but for the keys in *mine*, of which this process knows better.

        The providers of which a hold is over.
        """
        before = self._standing
        told = {row.key: self._placed(row) for row in rows if row.key not in mine}
        self._standing = told | {key: each for key, each in before.items() if key in mine}
        return {key[0] for key in before.keys() - self._standing.keys()}

    def _placed(self, row: Hold) -> Standing:
        known = self._standing.get(row.key)
        if known and known.hold.since == row.since and known.hold.turn >= row.turn:
            return known
        left = max(0.0, (row.until - self._now()).total_seconds())
        return Standing(row, self._clock() + (left if row.opened_by is Opener.OPERATOR else min(left, self._longest)))

    def _shutting(self, provider: str) -> list[Standing]:
        all_ours = provider in self._worker_only
        blocking = self.blocking(provider, ours=all_ours)
        return blocking if all_ours else [each for each in blocking if each.hold.scope is Scope.ALL]

    def _is_over(self, standing: Standing) -> bool:
        return not standing.hold.is_probed and self._clock() >= standing.due
