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

from worker.blast_radius.subject import Subject, subject_of
from worker.blast_radius.window import Changes, Flood, Limits, Window, flood_id
from worker.ledger import LedgerUnavailable
from worker.ledger.desk import Desk
from worker.ledger.floods import Answer, Told

if TYPE_CHECKING:
    from tasks.events import SessionEnded, UserDisabled
    from tasks.subject import SubjectIndex

logger = logging.getLogger(__name__)

PATIENCE: Final = 2.0  # seconds a visit may take: somebody who was dismissed waits behind it
ALONE: Final = 10.0  # seconds between two tries at a ledger that is away
TIDY: Final = 10  # times in a window the log is cleared of what is older


class FloodGate:
    """The gate of one intake process."""

    def __init__(self, desk: Desk, limits: Limits, index: SubjectIndex) -> None:
        self._desk, self._index = desk, index
        self._window = Window(limits, _alert(limits))
        self._seen = 0
        self._ahead = time.time() - time.monotonic()  # of the database's clock over ours, which nobody sets
        self._tidied = 0.0
        self._alone_until: float | None = None
        self._visit, self._turns = 0, threading.Lock()  # a visit that was given up may still get its turn, too late

    def held_back(self, events: Sequence[SessionEnded | UserDisabled | None]) -> list[bool]:
        """For each of *events* whether it must wait for an operator; None stands for what does not count."""
        subjects = [None if event is None else subject_of(event, self._index) for event in events]
        self._window.forget(self._now)
        if not all(each is None or self._window.knows(each) for each in subjects):
            return self._judged(subjects)
        return [False] * len(subjects)

    @property
    def _now(self) -> float:
        return time.monotonic() + self._ahead

    def _judged(self, subjects: Sequence[Subject | None]) -> list[bool]:
        if self._alone_until is not None and time.monotonic() < self._alone_until:
            return self._judge(subjects)
        turn = partial(self._turn, self._visit, subjects)
        try:
            verdicts = self._desk.wait(lambda ledger: ledger.share_passed(self._seen, turn), PATIENCE)
        except LedgerUnavailable as error:
            with self._turns:
                self._visit += 1
            self._go_alone(error)
            return self._judge(subjects)
        self._window.changes = Changes()
        if self._alone_until is not None:
            self._alone_until = None
            logger.warning("guard.ledger_back")
        return verdicts

    def _turn(self, visit: int, subjects: Sequence[Subject | None], told: Told) -> tuple[Answer, list[bool]]:
        """In the desk's thread, while `_judged` waits. Raises LedgerUnavailable where it waits no more."""
        with self._turns:
            if visit != self._visit:
                raise LedgerUnavailable("the ledger answered too late")
            self._seen, self._ahead = told.seen, told.now - time.monotonic()
            self._window.learn(told.passed)
            self._window.set_floods(told.floods)
            self._window.forget(told.now)
            verdicts = self._judge(subjects)
            changes = self._window.changes  # as they are now: whoever waits no more goes on counting
            return Answer(Changes(deque(changes.passed), dict(changes.floods)), self._over(told.now)), verdicts

    def _judge(self, subjects: Sequence[Subject | None]) -> list[bool]:
        now = self._now
        return [each is not None and not self._window.let_pass(each, now) for each in subjects]

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
