"""A replay: claim in the ledger, publish, mark. Paced, watched, and stopped when it does more harm than good."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from tasks.call import Lane
from worker.broker.provenance import ProvenanceMac
from worker.broker.publication import PublishError
from worker.broker.publisher import Publisher
from worker.ledger import AuditEntry, DeadLetterRow, DeadLetterState, Ledger, Operator
from worker.operations.replay_plan import PlannedReplay
from worker.operations.replay_rules import doubt_about
from worker.operations.replay_watch import Watch
from worker.operations.republishing import replay_message
from worker.settings import Settings

# Opened by force only, and by `revoker flood release`.
CLOSED: Final = frozenset({DeadLetterState.DISCARDED, DeadLetterState.REPLAYED, DeadLetterState.WITHHELD})
CATCH_UP: Final = 1.0  # seconds that a replay may have fallen behind its rate and still make up for
INTERRUPTED: Final = "interrupted"
MAX_STEP: Final = 100  # dead letters claimed together: what a kill half way leaves claimed until the lease ends


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a replay goes, and what stops it."""

    rate: float  # dead letters per second
    canary: int = 0  # replayed first; the rest follows when all of these have settled
    stop_after_failures: int | None = None  # replayed ones that died again
    wait: float = 0.0  # seconds: longest wait for what becomes of the canary, and of all at the end


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay came to, in numbers of dead letters."""

    replayed: int  # published, confirmed by the broker
    taken: int  # left to another replay that had them first
    not_published: int  # free again
    settled: int
    died: int
    stopped: str | None = None  # why it ended early

    @property
    def pending(self) -> int:
        """Replayed ones of which nothing was heard while we waited."""
        return self.replayed - self.settled - self.died


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """A replay as an operator asks for it."""

    planned: PlannedReplay
    pace: Pace
    operator: Operator


@dataclass(frozen=True, slots=True)
class ReplayControls:
    """How whoever asked for a replay follows it, and ends it."""

    progress: Callable[[int], object] = lambda _: None  # gets the number of dead letters in each step that is done
    is_stopping: Callable[[], bool] = lambda: False  # once it returns true, no other step begins
    sleep: Callable[[float], object] = time.sleep  # takes seconds, and may return early


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay that is over, and under which id the audit has it."""

    audit_id: str
    result: ReplayResult


def replay(
    settings: Settings, ledger: Ledger, publisher: Publisher, request: ReplayRequest, controls: ReplayControls
) -> Replayed:
    """Give what was planned another try. Raises LedgerUnavailable."""
    planned, mac = request.planned, ProvenanceMac.of(settings)
    audit = request.operator.entry(planned.action, planned.scope)
    replayer = Replayer(ledger, publisher, settings.budgets(), mac, controls, claims=planned.claims)
    result = replayer.run(planned.figures.rows(planned.pages), request.pace, audit)
    return Replayed(audit.audit_id, result)


@dataclass(slots=True)
class _Count:
    taken: int = 0
    not_published: int = 0
    stopped: str | None = None


@dataclass(slots=True)
class Replayer:
    """Replays dead letters."""

    ledger: Ledger
    publisher: Publisher
    budgets: Mapping[Lane, timedelta]
    mac: ProvenanceMac
    controls: ReplayControls = ReplayControls()
    claims: bool = False  # whether what nobody vouches for goes as a claim
    _count: _Count = field(default_factory=_Count, init=False)

    def run(self, rows: Iterable[DeadLetterRow], pace: Pace, audit: AuditEntry) -> ReplayResult:
        """Replay *rows*, read as they are needed, at *pace*, accounted for under *audit*.

        Each is claimed just before it is published. Whoever else replays the same rows meanwhile gets those we do not,
        so each goes out once. Raises LedgerUnavailable; ended at any point, what was not published can be replayed
        again.
        """
        self._count = _Count()
        watch = Watch(self.ledger, self.controls.sleep)
        try:
            left = iter(rows)
            self._replay(islice(left, pace.canary), pace, audit, watch)
            if pace.canary and not self._canary_lives(watch, pace):
                return self._result(watch)
            self._replay(left, pace, audit, watch)
            watch.until(lambda: self._is_stopped() or not watch.pending, pace.wait)
            return self._result(watch)
        finally:
            self.ledger.audit(replace(audit, count=0, result=_in_words(self._result(watch))))

    def _canary_lives(self, watch: Watch, pace: Pace) -> bool:
        watch.until(lambda: self._is_stopped() or watch.died or not watch.pending, pace.wait)
        if self._is_stopped():
            return False
        if watch.died:
            self._count.stopped = "the canary died again"
        elif watch.pending:
            self._count.stopped = f"of the canary, {len(watch.pending)} had not settled after {pace.wait:g} s"
        return self._count.stopped is None

    def _replay(self, rows: Iterator[DeadLetterRow], pace: Pace, audit: AuditEntry, watch: Watch) -> None:
        for step in self._steps(rows, pace.rate):
            if self._is_stopped():
                return
            self._replay_step(step, audit, watch)
            self.controls.progress(len(step))
            if pace.stop_after_failures and len(watch.died_so_far()) >= pace.stop_after_failures:
                self._count.stopped = f"{len(watch.died)} died again"

    def _is_stopped(self) -> bool:
        if self.controls.is_stopping() and self._count.stopped is None:
            self._count.stopped = INTERRUPTED
        return self._count.stopped is not None

    def _steps(self, rows: Iterator[DeadLetterRow], rate: float) -> Iterator[Sequence[DeadLetterRow]]:
        """Parts of *rows*, each handed out when its time has come: a fifth of a second's worth, at least one."""
        size = min(MAX_STEP, max(1, math.floor(rate / 5)))
        due = time.monotonic()
        while step := tuple(islice(rows, size)):
            if (early := due - time.monotonic()) > 0:
                self.controls.sleep(early)
            yield step
            due = max(due + size / rate, time.monotonic() - CATCH_UP)

    def _replay_step(self, rows: Sequence[DeadLetterRow], audit: AuditEntry, watch: Watch) -> None:
        claimed = self._claimed(rows, audit)
        self._count.taken += len(rows) - len(claimed)
        failures = self._published(claimed)
        out = [row for row, failure in zip(claimed, failures, strict=True) if failure is None]
        self.ledger.mark_replayed({row.dead_letter_id: row.replays + 1 for row in out})
        for row in out:
            watch.add(row)
        for row in (row for row, failure in zip(claimed, failures, strict=True) if failure is not None):
            self.ledger.release_claim(row.dead_letter_id)
            self._count.not_published += 1
        if claimed and all(failures):
            self._count.stopped = str(failures[0])

    def _claimed(self, rows: Sequence[DeadLetterRow], audit: AuditEntry) -> list[DeadLetterRow]:
        """Claim *rows* and return those claimed. The claim is released on what has changed since the plan.

        One that was replayed and died meanwhile is another death, and what is not vouched for is nobody's.
        """
        planned = {row.dead_letter_id: row.replays for row in rows}
        claimed = []
        for state in {row.state for row in rows}:
            ids = [row.dead_letter_id for row in rows if row.state is state]
            claimed += self.ledger.claim(ids, audit=audit, also=[state] if state in CLOSED else [])
        vouched = [row for row in claimed if doubt_about(row, self.mac.letters, claims=self.claims) is None]
        sound = [row for row in vouched if row.replays == planned[row.dead_letter_id]]
        for other in {row.dead_letter_id for row in claimed} - {row.dead_letter_id for row in sound}:
            self.ledger.release_claim(other)
        return sound

    def _published(self, rows: Sequence[DeadLetterRow]) -> Sequence[PublishError | None]:
        now = datetime.now(UTC)
        try:
            return self.publisher.publish(
                [replay_message(row.letter, now, self.budgets, self.mac, row.replays) for row in rows]
            )
        except BaseException:
            for row in rows:
                self.ledger.release_claim(row.dead_letter_id)
            raise

    def _result(self, watch: Watch) -> ReplayResult:
        count, settled, died = self._count, len(watch.settled), len(watch.died)
        return ReplayResult(watch.added, count.taken, count.not_published, settled, died, count.stopped)


def _in_words(result: ReplayResult) -> str:
    parts = {"replayed": result.replayed, "taken by another": result.taken, "not published": result.not_published}
    counts = ", ".join(f"{count} {what}" for what, count in parts.items() if count or what == "replayed")
    return f"{counts}; stopped: {result.stopped}" if result.stopped else counts
