"""What stands in the intake between an event and its plan: it lets the event pass, or has it held back.

All intakes count together, through the ledger: one visit for each batch that tells of anybody new. Each keeps the whole
window in memory, so a visit reads only what the others added; and while the ledger is away it goes on counting by
itself, from what it last knew, and tells the others afterwards. What is held back needs no ledger.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from worker.database.errors import LedgerUnavailable
from worker.intake.flood import store
from worker.intake.flood.store import Answer, Told
from worker.intake.flood.subject import Key, Subject
from worker.intake.flood.window import Changes, Flood, Limits, Window, flood_id

if TYPE_CHECKING:
    from worker.database.engine import Database
    from worker.database.thread import DatabaseThread

logger = logging.getLogger(__name__)

PATIENCE: Final = 2.0  # seconds a visit may take: somebody who was dismissed waits behind it
ALONE: Final = 10.0  # seconds between two tries at a ledger that is away
TIDY: Final = 10  # times in a window the log is cleared of what is older

Hit = Sequence[Subject]
"""Whom one event hits; nobody, where it does not count."""


class FloodGate:
    """The gate of one intake process."""

    def __init__(self, thread: DatabaseThread, limits: Limits) -> None:
        self._thread = thread
        self._window = Window(limits, _alert(limits), _alert_of_repeats(limits))
        self._seen = 0
        self._ahead = time.time() - time.monotonic()  # of the database's clock over ours, which nobody sets
        self._tidied = 0.0
        self._alone_until: float | None = None
        self._visit, self._turns = 0, threading.Lock()  # a visit that was given up may still get its turn, too late

    def held_back(self, batch: Sequence[Hit]) -> list[bool]:
        """For each event of *batch*, told by whom it hits, whether it must wait for an operator."""
        self._window.forget(self._now)
        if any(not self._window.knows(each) for hit in batch for each in hit):
            return self._judged(batch)
        return self._judge(batch)

    @property
    def _now(self) -> float:
        return time.monotonic() + self._ahead

    def _judged(self, batch: Sequence[Hit]) -> list[bool]:
        if self._alone_until is not None and time.monotonic() < self._alone_until:
            return self._judge(batch)
        try:
            verdicts = self._thread.run_sync(partial(self._share, self._visit, batch), PATIENCE)
        except LedgerUnavailable as error:
            with self._turns:
                self._visit += 1
            self._go_alone(error)
            return self._judge(batch)
        self._window.changes = Changes()
        if self._alone_until is not None:
            self._alone_until = None
            logger.warning("guard.ledger_back")
        return verdicts

    def _share(self, visit: int, batch: Sequence[Hit], database: Database) -> list[bool]:
        """Judge *batch* in the database's thread, while `_judged` waits for it."""
        with database.writing() as connection:
            answer, verdicts = self._turn(visit, batch, store.load(connection, self._seen))
            store.save(connection, answer)
        return verdicts

    def _turn(self, visit: int, batch: Sequence[Hit], told: Told) -> tuple[Answer, list[bool]]:
        """Raises LedgerUnavailable where `_judged` waits no more."""
        with self._turns:
            if visit != self._visit:
                raise LedgerUnavailable("the ledger answered too late")
            self._seen, self._ahead = told.seen, told.now - time.monotonic()
            self._window.learn(told.passed)
            self._window.set_floods(told.floods)
            self._window.forget(told.now)
            verdicts = self._judge(batch)
            changes = self._window.changes  # as they are now: whoever waits no more goes on counting
            return Answer(Changes(deque(changes.passed), dict(changes.floods)), self._over(told.now)), verdicts

    def _judge(self, batch: Sequence[Hit]) -> list[bool]:
        now = self._now
        return [bool(hit) and not self._window.let_pass(hit, now) for hit in batch]

    def _over(self, now: float) -> float | None:
        if now - self._tidied < self._window.limits.span / TIDY:
            return None
        self._tidied = now
        return now - self._window.limits.span

    def _go_alone(self, error: Exception) -> None:
        if self._alone_until is None:
            logger.warning("guard.ledger_away", extra={"error": str(error)})
        self._alone_until = time.monotonic() + ALONE


def _alert(limits: Limits) -> Callable[[Flood], None]:
    def alert(flood: Flood) -> None:
        about = {"flood": flood_id(flood.key), "source": flood.source or "(all sources)", "type": flood.event_type}
        logger.error("guard.opened", extra={**about, "limit": limits.of(flood.key)})

    return alert


def _alert_of_repeats(limits: Limits) -> Callable[[Key], None]:
    def alert(key: Key) -> None:
        source, event_type = key
        logger.error("guard.repeats", extra={"source": source, "type": event_type, "limit": limits.of(key)})

    return alert
