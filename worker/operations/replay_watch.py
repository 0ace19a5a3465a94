"""What becomes of the dead letters that a job replays, read from the ledger, until it is known or the time is up."""

import time
from collections.abc import Callable, Collection, Iterator
from typing import Final

from worker.ledger import CallRow, DeadLetterFilter, DeadLetterHead, DeadLetterState, Fate, Ledger

INTERVAL: Final = 0.25  # seconds between two looks
_BATCH_SIZE: Final = 200  # ids in one query


class Watch:
    """What one run of a job replayed, and what became of it so far. *sleep* takes seconds."""

    def __init__(self, ledger: Ledger, job_id: str, sleep: Callable[[float], object] = time.sleep) -> None:
        self._ledger, self._job_id, self._sleep = ledger, job_id, sleep
        self._events = set[str]()  # those of `pending` that are no calls
        self.pending = set[str]()  # replayed in this run; nothing was heard of it since
        self.added = 0  # replayed in this run
        self.died = 0  # since this run began
        self._looked = -INTERVAL

    def add(self, row: DeadLetterHead) -> None:
        """Watch *row*, which was replayed."""
        self.added += 1
        self.pending.add(row.dead_letter_id)
        if row.kind != "call":
            self._events.add(row.dead_letter_id)

    def died_so_far(self) -> int:
        """How many died again, as of a moment ago: the ledger is not asked at every step."""
        if time.monotonic() - self._looked >= INTERVAL:
            self._look()
        return self.died

    def until(self, condition: Callable[[], object], timeout: float) -> None:
        """Look until *condition* holds, at most *timeout* seconds."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self._look()
            if condition():
                return
            self._sleep(min(INTERVAL, max(0.0, end - time.monotonic())))

    def _look(self) -> None:
        self._looked = time.monotonic()
        fates = self._ledger.job_news(self._job_id)
        settled = (row.dead_letter_id for row in self._heads(self._events - fates.keys()) if self._is_settled(row))
        fates |= dict.fromkeys(settled, Fate.SETTLED)
        if fates:
            self._ledger.settle_step(self._job_id, fates)
        self.died += sum(fate is Fate.DIED for fate in fates.values())
        self.pending -= fates.keys()
        self._events -= fates.keys()

    def _heads(self, among: Collection[str]) -> Iterator[DeadLetterHead]:
        ids = tuple(among)
        for start in range(0, len(ids), _BATCH_SIZE):
            some = DeadLetterFilter(ids=ids[start : start + _BATCH_SIZE], states=(DeadLetterState.REPLAYED,))
            yield from self._ledger.dead_letter_heads(some)

    def _is_settled(self, row: DeadLetterHead) -> bool:
        """Whether all is settled that the intake made of a replayed event, or of one provider's part of it."""
        parts = self._parts(row) if row.event_id is not None else []
        return bool(parts) and all(part.state.is_settled for part in parts)

    def _parts(self, row: DeadLetterHead) -> list[CallRow]:
        """What the intake made of it since the replay began."""
        parts = self._ledger.calls_of_event(row.event_id or "", row.source)
        letter = next((part for part in parts if part.dead_letter_id == row.dead_letter_id), None)
        mine = [part for part in parts if part is not letter and (letter is None or part.is_since(letter))]
        return [part for part in mine if row.provider is None or part.provider == row.provider]
