"""What stands in the intake between an event and its plan: it lets the event pass, or has it held back.

All intakes count together, through the ledger: one visit for each batch that tells of anybody new. Each keeps the whole
window in memory, so a visit reads only what the others added; and while the ledger is away it goes on counting by
itself, from what it last knew, and tells the others afterwards. What is held back needs no ledger.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from worker.blast_radius.subject import Subject, subject_of
from worker.blast_radius.window import Changes, Flood, Limits, Window, flood_id
from worker.ledger import Ledger, LedgerRefused, LedgerUnavailable
from worker.ledger.floods import Answer, Told

if TYPE_CHECKING:
    from tasks.events import SessionEnded, UserDisabled
    from tasks.subject import SubjectIndex

logger = logging.getLogger(__name__)

PATIENCE: Final = 2.0  # seconds a visit waits for others' transactions: somebody who was dismissed waits behind it
ALONE: Final = 10.0  # seconds between two tries at a ledger that is away
TIDY: Final = 10  # times in a window the log is cleared of what is older


class FloodGate:
    """The gate of one intake process."""

    def __init__(self, ledger: Ledger, limits: Limits, index: SubjectIndex) -> None:
        """*ledger* should be opened with a lock_seconds of PATIENCE."""
        self._ledger, self._index = ledger, index
        self._window = Window(limits, _alert(limits))
        self._seen = 0
        self._ahead = time.time() - time.monotonic()  # of the database's clock over ours, which nobody sets
        self._tidied = 0.0
        self._alone_until: float | None = None

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
        try:
            verdicts = self._ledger.share_passed(self._seen, lambda told: self._turn(told, subjects))
        except (LedgerUnavailable, LedgerRefused) as error:
            self._go_alone(error)
            return self._judge(subjects)
        self._window.changes = Changes()
        if self._alone_until is not None:
            self._alone_until = None
            logger.warning("guard.ledger_back")
        return verdicts

    def _turn(self, told: Told, subjects: Sequence[Subject | None]) -> tuple[Answer, list[bool]]:
        self._seen, self._ahead = told.seen, told.now - time.monotonic()
        self._window.learn(told.passed)
        self._window.set_floods(told.floods)
        self._window.forget(told.now)
        verdicts = self._judge(subjects)
        return Answer(self._window.changes, self._over(told.now)), verdicts

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
