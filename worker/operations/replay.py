"""One run of a job: claim in the ledger, publish, mark. Paced, watched, stopped when it does more harm than good."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from tasks.call import Lane
from worker.broker.provenance import ProvenanceMac
from worker.broker.publication import PublishError
from worker.broker.publisher import Publisher
from worker.ledger import DeadLetterRow, Fate, Job, JobLetter, Ledger
from worker.operations.asked_at_once import AskedAtOnce
from worker.operations.four_eyes import FourEyes
from worker.operations.job_report import in_words, report
from worker.operations.replay_rules import doubt_about, plan_replay
from worker.operations.replay_watch import Watch
from worker.operations.republishing import replay_message
from worker.settings import Settings

CATCH_UP: Final = 1.0  # seconds that a replay may have fallen behind its rate and still make up for
MAX_STEP: Final = 100  # dead letters claimed together: what a kill half way has published twice
RENEW_SECONDS: Final = 2.0  # seconds between two signs of life of who runs a job, and until it notices a pause
INTERRUPTED: Final = "interrupted"
HALTED: Final = "halted"  # by an operator, or by another runner: the job itself says why


@dataclass(frozen=True, slots=True)
class ReplayControls:
    """How whoever asked for a replay follows it, and ends it."""

    progress: Callable[[int], object] = lambda _: None  # gets the number of dead letters in each step that is done
    is_stopping: Callable[[], bool] = lambda: False  # once it returns true, no other step begins
    sleep: Callable[[float], object] = time.sleep  # takes seconds, and may return early


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """What the settings say of replays."""

    budgets: Mapping[Lane, timedelta]
    max_ages: Mapping[str, timedelta]  # by event type
    mac: ProvenanceMac
    secret: bytes = field(repr=False)  # of the hashes of plans
    four_eyes: FourEyes = field(default_factory=FourEyes)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those in force."""
        secret = settings.subject_key.get_secret_value().encode()
        eyes = FourEyes.of(settings.four_eyes)
        return cls(settings.budgets(), settings.max_ages(), ProvenanceMac.of(settings), secret, eyes)


@dataclass(slots=True)
class ReplayRun:
    """A run of *job* by *runner*, who took it."""

    ledger: Ledger
    publisher: Publisher
    settings: ReplaySettings
    controls: ReplayControls
    job: Job
    runner: str
    _watch: Watch = field(init=False)
    _stopped: str = field(default="", init=False)  # why no other step begins
    _renewed: float = field(default_factory=time.monotonic, init=False)

    def run(self) -> None:
        """Replay what is left of the job. Raises LedgerUnavailable.

        Each dead letter is claimed just before it is published. Whoever else replays the same ones meanwhile gets those
        we do not, so each goes out once. Ended at any point, the job can be run again, and does the rest.
        """
        self._watch = Watch(self.ledger, self.job.job_id, self.controls.sleep)
        try:
            self._replay_all()
        except BaseException as error:
            self._stopped = f"{type(error).__name__} ended it"
            raise
        finally:
            self._leave()

    def _replay_all(self) -> None:
        pace = self.job.pace
        if pace.canary:
            self._replay(lambda: pace.canary - self._watch.added)
            self._await_canary()
        self._replay(lambda: MAX_STEP)
        self._watch.until(lambda: self._is_stopped() or not self._watch.pending, pace.wait)

    def _await_canary(self) -> None:
        watch, wait = self._watch, self.job.pace.wait
        watch.until(lambda: self._is_stopped() or watch.died or not watch.pending, wait)
        if self._is_stopped():
            return
        if watch.died:
            self._stopped = "the canary died again"
        elif watch.pending:
            self._stopped = f"of the canary, {len(watch.pending)} had not settled after {wait:g} s"

    def _replay(self, most: Callable[[], int]) -> None:
        """Replay what comes next, a fifth of a second's worth at a time, while *most* allows for some."""
        rate = self.job.pace.rate
        due, size = time.monotonic(), min(MAX_STEP, max(1, math.floor(rate / 5)))
        while (room := min(size, most())) > 0 and (step := self._next(room)):
            self._sleep_until(due)
            if self._is_stopped():
                return
            due = max(due + self._replay_step(step) / rate, time.monotonic() - CATCH_UP)
            self._stop_on_failures()

    def _next(self, count: int) -> Sequence[JobLetter]:
        return self.ledger.job_letters(self.job.job_id, count, Fate.PLANNED)

    def _sleep_until(self, due: float) -> None:
        """Sleep, so that whoever asks sees a sign of life: at a rate of 1/h as well."""
        while (early := due - time.monotonic()) > 0 and not self._is_stopped():
            self.controls.sleep(min(early, RENEW_SECONDS))

    def _is_stopped(self) -> bool:
        if not self._stopped and self.controls.is_stopping():
            self._stopped = INTERRUPTED
        if not self._stopped and time.monotonic() - self._renewed >= RENEW_SECONDS:
            self._renewed = time.monotonic()
            self._stopped = "" if self.ledger.renew_job(self.job.job_id, self.runner) else HALTED
        return bool(self._stopped)

    def _stop_on_failures(self) -> None:
        most = self.job.pace.stop_after_failures
        if most and not self._stopped and self._watch.died_so_far() >= most:
            self._stopped = f"{self._watch.died} died again"

    def _replay_step(self, step: Sequence[JobLetter]) -> int:
        """Claim, publish and mark *step*; return how many went out."""
        claimed = self.ledger.claim_step(self.job, self.runner, step, self._refused(step))
        if claimed is None:
            self._stopped = HALTED
            return 0
        self._renewed = time.monotonic()
        doubts = {row.dead_letter_id: self._doubt(row) for row in claimed.claimed}
        sound = [row for row in claimed.claimed if doubts[row.dead_letter_id] is None]
        failures = self._published(sound)
        out = [row for row, failure in zip(sound, failures, strict=True) if failure is None]
        freed = {each: (Fate.CHANGED, doubt) for each, doubt in doubts.items() if doubt is not None}
        failed = [(row, str(failure)) for row, failure in zip(sound, failures, strict=True) if failure is not None]
        freed |= {row.dead_letter_id: (Fate.NOT_PUBLISHED, failure) for row, failure in failed}
        self.ledger.mark_step(self.job, self.runner, {row.dead_letter_id: row.replays + 1 for row in out}, freed)
        for row in out:
            self._watch.add(row)
        if failed and not out:
            self._stopped = failed[0][1]
        self.controls.progress(len(step))
        return len(out)

    def _refused(self, step: Sequence[JobLetter]) -> dict[str, str]:
        """Why some of *step* are to be left out by now, by id: what settled, was superseded, or is too old."""
        if not self.job.is_judged:
            return {}
        rows = self.ledger.whole_dead_letters([letter.dead_letter_id for letter in step])
        plan = plan_replay(rows, AskedAtOnce(self.ledger, rows), datetime.now(UTC), self.settings.max_ages)
        return {row.dead_letter_id: refusal.value for row, refusal in plan.refused}

    def _doubt(self, row: DeadLetterRow) -> str | None:
        """Return the reason to leave *row* out, or None: the plan lies in a database which others may write."""
        doubt = doubt_about(row, self.settings.mac.letters, claims=self.job.claims)
        return None if doubt is None else doubt.value

    def _published(self, rows: Sequence[DeadLetterRow]) -> Sequence[PublishError | None]:
        now, budgets, mac = datetime.now(UTC), self.settings.budgets, self.settings.mac
        try:
            return self.publisher.publish([replay_message(row.letter, now, budgets, mac, row.replays) for row in rows])
        except BaseException as error:
            why = Fate.NOT_PUBLISHED, type(error).__name__
            self.ledger.mark_step(self.job, self.runner, {}, {row.dead_letter_id: why for row in rows})
            raise

    def _leave(self) -> None:
        """End the run, and put on record what it came to."""
        now = report(self.ledger, self.ledger.job(self.job.job_id)).result
        failed = f"{now.not_published} could not be published" if now.not_published else ""
        stopped = self._stopped or failed
        told = now if stopped == HALTED else replace(now, stopped=stopped or None)
        self.ledger.leave_job(
            self.job.job_id, self.runner, stopped, replace(self.job.audit, result=in_words(told, "replayed"))
        )
