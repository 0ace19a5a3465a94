"""The figures of the ledger that the recorder shows: asked by a thread of its own, so that no record waits for them."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from datetime import UTC, datetime

from worker.database.engine import Database
from worker.database.thread import DatabaseThread
from worker.ledger.waiting import Waiting, waiting
from worker.observability import metrics
from worker.observability.metrics import Figures
from worker.observability.snapshot import Snapshot

Found = tuple[Waiting, float]  # and the seconds that it took


class LedgerFigures:
    """Looks every *interval* seconds at what waits in the ledger, for each of *providers*."""

    def __init__(self, thread: DatabaseThread, providers: Iterable[str], interval: float) -> None:
        self._thread, self._providers = thread, [*providers]
        self._snapshot: Snapshot[Waiting | None] = Snapshot(interval, None)
        self._asked: Future[Found] | None = None
        metrics.UNSETTLED_CALLS.follow(lambda: self._all(_unsettled))
        metrics.OLDEST_UNSETTLED.follow(lambda: self._all(_oldest_unsettled))
        metrics.HELD_EVENTS.follow(lambda: self._all(_held))
        metrics.DEAD_LETTERS.follow(lambda: self._some(_letters))
        metrics.OLDEST_DEAD_LETTER.follow(lambda: self._some(_oldest_letters))

    def look(self) -> None:
        """Ask, if it is time; waits for no answer."""
        if self._snapshot.is_due and (self._asked is None or self._asked.done()):
            self._asked = self._thread.ask(_timed)
            self._asked.add_done_callback(self._learn)

    def _learn(self, answer: Future[Found]) -> None:
        if answer.exception() is None:
            self._snapshot.keep(*answer.result())
        else:
            self._snapshot.postpone()

    def _some(self, figures: Callable[[Waiting], Figures]) -> Figures:
        found = self._snapshot.value
        return {} if found is None else figures(found)

    def _all(self, figures: Callable[[Waiting], Figures]) -> Figures:
        """*figures*, and 0 for each provider that has none."""
        found = self._snapshot.value
        nothing: Figures = {(name,): 0.0 for name in self._providers}
        return {} if found is None else {**nothing, **figures(found)}


def _timed(database: Database) -> Found:
    started = time.monotonic()
    return waiting(database), time.monotonic() - started


def _unsettled(found: Waiting) -> Figures:
    return {(name,): each.count for name, each in found.calls.items()}


def _oldest_unsettled(found: Waiting) -> Figures:
    return {(name,): _age(each.oldest_at) for name, each in found.calls.items()}


def _held(found: Waiting) -> Figures:
    return {(name,): count for name, count in found.held.items()}


def _letters(found: Waiting) -> Figures:
    return {labels: each.count for labels, each in found.letters.items()}


def _oldest_letters(found: Waiting) -> Figures:
    return {labels: _age(each.oldest_at) for labels, each in found.letters.items()}


def _age(since: datetime) -> float:
    """Seconds since then; a clock that was ahead makes none negative."""
    return max(0.0, (datetime.now(UTC) - since).total_seconds())
