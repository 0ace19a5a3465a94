"""What becomes of replayed dead letters, read from the ledger, until it is known or the time is up."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from worker.ledger import CallRow, DeadLetterFilter, DeadLetterHead, DeadLetterState, Ledger

INTERVAL: Final = 0.25  # seconds between two looks
_BATCH_SIZE: Final = 200  # ids in one query


class Watch:
    """The replayed dead letters, and what became of each so far. *sleep* takes seconds."""

    def __init__(self, ledger: Ledger, sleep: Callable[[float], object] = time.sleep) -> None:
        self._ledger, self._sleep = ledger, sleep
        self.pending: dict[str, int] = {}  # id → which generation died
        self.settled: set[str] = set()
        self.died: set[str] = set()
        self._looked = -INTERVAL

    @property
    def added(self) -> int:
        """How many are watched."""
        return len(self.pending) + len(self.settled) + len(self.died)

    def add(self, row: DeadLetterHead) -> None:
        """Watch *row*, as it was before its replay."""
        self.pending[row.dead_letter_id] = row.replays

    def died_so_far(self) -> set[str]:
        """The ids of those that died again, as of a moment ago: the ledger is not asked at every step."""
        if time.monotonic() - self._looked >= INTERVAL:
            self._look()
        return self.died

    def _look(self) -> None:
        self._looked = time.monotonic()
        for row in self._fresh():
            if row.replays > self.pending[row.dead_letter_id]:
                self._move(row, self.died)
            elif row.state is DeadLetterState.REPLAYED and self._is_settled(row):
                self._move(row, self.settled)

    def until(self, condition: Callable[[], object], timeout: float) -> None:
        """Look until *condition* holds, at most *timeout* seconds."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self._look()
            if condition():
                return
            self._sleep(min(INTERVAL, max(0.0, end - time.monotonic())))

    def _fresh(self) -> Iterator[DeadLetterHead]:
        ids = tuple(self.pending)
        for start in range(0, len(ids), _BATCH_SIZE):
            some = DeadLetterFilter(ids=ids[start : start + _BATCH_SIZE], states=tuple(DeadLetterState))
            yield from self._ledger.dead_letter_heads(some)

    def _is_settled(self, row: DeadLetterHead) -> bool:
        if row.kind == "call":
            return row.call_state is not None and row.call_state.is_settled
        parts = self._parts(row) if row.event_id is not None else []
        return bool(parts) and all(part.state.is_settled for part in parts)

    def _parts(self, row: DeadLetterHead) -> list[CallRow]:
        """What the intake made of a replayed event, or of one provider's part of it, since the replay began."""
        parts = self._ledger.calls_of_event(row.event_id or "", row.source)
        letter = next((part for part in parts if part.dead_letter_id == row.dead_letter_id), None)
        mine = [part for part in parts if part is not letter and (letter is None or part.is_since(letter))]
        return [part for part in mine if row.provider is None or part.provider == row.provider]

    def _move(self, row: DeadLetterHead, to: set[str]) -> None:
        del self.pending[row.dead_letter_id]
        to.add(row.dead_letter_id)
