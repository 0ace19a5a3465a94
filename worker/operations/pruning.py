"""What is over forgotten now, and not when the recorder comes to it: in small steps, between which others write."""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from worker.ledger import BEGUN, Ledger, Operator
from worker.ledger.retention import Horizons, Old, forget
from worker.ledger.rows import CLOSED
from worker.operations.replay import INTERRUPTED, ReplayControls
from worker.operations.text import counted, rfc3339
from worker.settings import Settings

SETTLED: Final = "settled"  # events, all of whose calls are settled or discarded
STATES: Final = (SETTLED, *(state.value for state in CLOSED))
MIN_PAUSE: Final = 0.05  # seconds between two steps
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)  # nothing is older


@dataclass(frozen=True, slots=True)
class PlannedPruning:
    """What would be forgotten. Nothing has happened yet."""

    horizons: Horizons
    old: Old
    scope: str

    @property
    def total(self) -> int:
        """How many events and dead letters that are."""
        return self.old.events + self.old.letters

    def in_words(self) -> str:
        """How many of each."""
        return f"{counted(self.old.events)} events with their calls, {counted(self.old.letters)} dead letters"


@dataclass(frozen=True, slots=True)
class Pruned:
    """A pruning that is over, and under which id the audit has it."""

    audit_id: str
    removed: int  # events and dead letters
    stopped: str | None = None  # why it ended early


def plan(
    settings: Settings, ledger: Ledger, older_than: timedelta | None, states: Collection[str] = ()
) -> PlannedPruning:
    """Return what is over, in one of *states* (all by default), for longer than *older_than*, else than the settings.

    Neither the audit, a job nor a count of exposures is part of it: these are forgotten by their own age alone. Raises
    LedgerUnavailable.
    """
    chosen, now = [*(each for each in STATES if each in states)] or [*STATES], datetime.now(UTC)
    horizons = replace(Horizons.of(settings.storage, now), audits=_NEVER, exposures=_NEVER, jobs=_NEVER)
    if older_than is not None:
        horizons = replace(horizons, events=now - older_than, letters=now - older_than)
    closed = tuple(state for state in CLOSED if state.value in chosen)
    horizons = replace(horizons, closed=closed, events=horizons.events if SETTLED in chosen else _NEVER)
    return PlannedPruning(horizons, ledger.count_old(horizons), _scope(horizons, chosen))


def prune(ledger: Ledger, planned: PlannedPruning, operator: Operator, controls: ReplayControls) -> Pruned:
    """Forget what was planned, in steps, after each of which the others have as long as it took. It can be interrupted.

    What an operator replays or discards again meanwhile is young, and kept. Raises LedgerUnavailable.
    """
    audit = operator.entry("ledger.prune", planned.scope, plan=planned.in_words())
    ledger.audit(replace(audit, result=BEGUN))  # first: what cannot be accounted for is not done
    removed, stopped = 0, "the ledger failed"
    try:
        for step in _steps(forget(ledger.database, planned.horizons), controls):
            removed += step
            controls.progress(step)
        stopped = INTERRUPTED if controls.is_stopping() else ""
    finally:
        result = f"{counted(removed)} forgotten{f'; stopped: {stopped}' if stopped else ''}"
        ledger.audit(replace(audit, count=removed, result=result))
    return Pruned(audit.audit_id, removed, stopped or None)


def _steps(steps: Iterator[int], controls: ReplayControls) -> Iterator[int]:
    """How many rows each step removed, until there is nothing left or the operator stops it."""
    while not controls.is_stopping():
        began = time.monotonic()
        if (removed := next(steps, None)) is None:
            return
        if removed:  # else it only read, which keeps nobody from writing
            yield removed
            controls.sleep(max(MIN_PAUSE, time.monotonic() - began))


def _scope(horizons: Horizons, states: Collection[str]) -> str:
    times = {each: horizons.events if each == SETTLED else horizons.letters for each in states}
    return ", ".join(f"{each} before {rfc3339(at)}" for each, at in times.items())
