"""What stands in the intake between an event and its plan: it lets the event pass, or has it held back.

All intakes count together, through the ledger: one visit for each batch with anybody new. Each keeps the whole window
in memory, so a visit reads only what the others added; while the ledger is away an intake goes on counting by itself
from what it last knew, and adds that afterwards. What is held back needs no ledger.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Final

from worker.broker.availability import Availability
from worker.database.engine import Database
from worker.database.errors import LedgerUnavailable
from worker.database.thread import DatabaseThread
from worker.intake.flood import store
from worker.intake.flood.store import Snapshot
from worker.intake.flood.window import Flood, FloodKey, Limits, Pending, Subject, Window, flood_id

logger = logging.getLogger(__name__)

VISIT_TIMEOUT: Final = 2.0  # seconds: somebody who was dismissed waits meanwhile
RETRY_AFTER: Final = 10.0  # seconds between two visits to a ledger that is away
DELETES_PER_WINDOW: Final = 10  # times that older subjects are deleted from the ledger

Hit = Sequence[Subject]
"""Whom one event hits; nobody, where it does not count."""


class FloodGate:
    """The gate of one intake process."""

    def __init__(self, thread: DatabaseThread, limits: Limits) -> None:
        self._thread, self._limits = thread, limits
        self._window = Window(limits, self._alert, self._alert_of_repeats)
        self._seen = 0
        self._ahead = time.time() - time.monotonic()  # of the database's clock over ours, which nobody sets
        self._deleted_at = self._visit_at = 0.0
        self._availability = Availability(logger, "guard.ledger_away", "guard.ledger_back")
        self._deciding = threading.Lock()

    def held_back(self, batch: Sequence[Hit]) -> list[bool]:
        """For each event of *batch*, given as whom it hits, whether it must wait for an operator."""
        self._window.forget(self._now)
        is_known = all(self._window.knows(each) for hit in batch for each in hit)
        return self._decide(batch) if is_known or time.monotonic() < self._visit_at else self._visit(batch)

    @property
    def _now(self) -> float:
        return time.monotonic() + self._ahead

    def _visit(self, batch: Sequence[Hit]) -> list[bool]:
        given_up = threading.Event()
        try:
            held_back = self._thread.run_sync(partial(self._share, given_up, batch), VISIT_TIMEOUT)
        except LedgerUnavailable as error:
            with self._deciding:
                given_up.set()
            self._visit_at = time.monotonic() + RETRY_AFTER
            self._availability.lost(error)
            return self._decide(batch)
        self._window.pending = Pending()
        self._availability.found()
        return held_back

    def _share(self, given_up: threading.Event, batch: Sequence[Hit], database: Database) -> list[bool]:
        """Decide in step with the other intakes, in the database's thread, while `_visit` waits for it.

        Raises LedgerUnavailable where that has *given_up*: it goes on counting by itself.
        """
        with database.writing() as connection:
            snapshot = store.load(connection, self._seen)
            with self._deciding:
                if given_up.is_set():
                    raise LedgerUnavailable("the ledger answered too late")
                self._learn(snapshot)
                held_back = self._decide(batch)
                # A copy: if `_visit` gives up while it is saved, the window goes on counting.
                pending = Pending(deque(self._window.pending.passed), dict(self._window.pending.floods))
                delete_until = self._delete_until(snapshot.now)
            store.save(connection, pending, delete_until)
        return held_back

    def _learn(self, snapshot: Snapshot) -> None:
        self._seen, self._ahead = snapshot.seen, snapshot.now - time.monotonic()
        self._window.learn(snapshot.passed)
        self._window.set_floods(snapshot.floods)
        self._window.forget(snapshot.now)

    def _decide(self, batch: Sequence[Hit]) -> list[bool]:
        now = self._now
        return [bool(hit) and not self._window.let_pass(hit, now) for hit in batch]

    def _delete_until(self, now: float) -> float | None:
        if now - self._deleted_at < self._limits.span / DELETES_PER_WINDOW:
            return None
        self._deleted_at = now
        return now - self._limits.span

    def _alert(self, flood: Flood) -> None:
        about = {"flood": flood_id(flood.key), "source": flood.source or "(all sources)", "type": flood.event_type}
        logger.error("guard.opened", extra={**about, "limit": self._limits.of(flood.key)})

    def _alert_of_repeats(self, key: FloodKey) -> None:
        source, event_type = key
        logger.error("guard.repeats", extra={"source": source, "type": event_type, "limit": self._limits.of(key)})
