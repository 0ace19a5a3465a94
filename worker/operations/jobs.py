"""Replays and large discards as jobs: planned and stored, run by whoever takes them, paused, resumed, stopped."""

import os
import secrets
import socket
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from worker.broker.publisher import Publisher
from worker.intake.flood import store
from worker.ledger import BEGUN, AuditEntry, DeadLetterRow, Fate, Job, JobLetter, JobState, Ledger, Operator, Pace
from worker.ledger.job_rows import plan_hash, planned_letter
from worker.operations import RefusedRequest
from worker.operations.discarding import discard_left
from worker.operations.job_report import JobReport, ReplayResult, report
from worker.operations.replay import ReplayControls, ReplayRun, ReplaySettings
from worker.operations.replay_plan import PlanFigures, ReplayPages, figures
from worker.operations.replay_rules import Refusal, ReplayPlan

LEASE: Final = 30.0  # seconds without a sign of life, after which who ran a job is taken for dead
LOOK_SECONDS: Final = 0.25  # seconds between two looks whether it lives
LISTED: Final = 20  # jobs, where nothing is said of a limit
PAGE: Final = 1000  # dead letters of a job that are read at a time
_HALTS: Final[Mapping[JobState, tuple[JobState, ...]]] = {
    JobState.PAUSED: (JobState.RUNNING,),
    JobState.STOPPED: (JobState.PLANNED, JobState.RUNNING, JobState.PAUSED),
}
_RUNS: Final = (JobState.PLANNED, JobState.RUNNING, JobState.PAUSED)


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A replay or a discard that was planned; *job* is stored, and None where there is nothing to do."""

    figures: PlanFigures
    job: Job | None


@dataclass(frozen=True, slots=True)
class JobStart:
    """A job as an operator wants it run: by *hash* it is the plan that they read."""

    job_id: str
    hash: str
    operator: Operator


@dataclass(frozen=True, slots=True)
class Replayed:
    """A run that is over, and under which id the audit has the job."""

    job: Job
    result: ReplayResult
    left_out: Mapping[str, int]  # by what changed


@dataclass(frozen=True, slots=True)
class ListedJob:
    """A job in a list: how many of it went out, and how many remain."""

    job: Job
    counts: Mapping[Fate, int]

    def count(self, fates: Collection[Fate]) -> int:
        """How many of its dead letters have one of *fates*."""
        return sum(self.counts.get(fate, 0) for fate in fates)


def plan(settings: ReplaySettings, ledger: Ledger, pages: ReplayPages, pace: Pace, operator: Operator) -> PlannedJob:
    """Store what a replay of *pages* would do, row by row. Nothing runs yet. Raises LedgerUnavailable.

    What somebody wrote into the ledger is put on record, as found by *operator*.
    """
    job_id = _created(ledger, pages, pace, operator)
    found = figures(_stored(ledger, job_id, pages.pages()))
    _record_altered(ledger, found, pages.scope, operator)
    if not found.ready and not pages.ends:
        ledger.drop_job(job_id)
        return PlannedJob(found, None)
    ledger.complete_job(job_id, _hash(settings, ledger, ledger.job(job_id)))
    stored = one(ledger, job_id)
    return PlannedJob(stored.figures, stored.job)


def find(ledger: Ledger, states: Sequence[JobState] = (), limit: int = LISTED) -> list[ListedJob]:
    """Return the jobs in one of *states* (all by default), the last planned first. Raises LedgerUnavailable."""
    found = ledger.jobs(limit, states or tuple(JobState))
    counts = ledger.job_counts([job.job_id for job in found])
    return [ListedJob(job, counts.get(job.job_id, {})) for job in found]


def one(ledger: Ledger, beginning: str) -> JobReport:
    """Return how far the job got whose id begins so. Raises JobNotFound, JobAmbiguous, LedgerUnavailable."""
    return report(ledger, ledger.job(beginning))


def letters(ledger: Ledger, job: Job, fate: Fate | None = None) -> Iterator[JobLetter]:
    """Return every dead letter of *job*, in the order of the plan, read page by page; with *fate*: those of it."""
    behind = -1
    while page := ledger.job_letters(job.job_id, PAGE, fate, behind):
        yield from page
        behind = page[-1].position


def halt(ledger: Ledger, job: Job, after: JobState, operator: Operator) -> AuditEntry:
    """Pause *job*, or stop it for good. Who runs it ends the step that it is in. Return the line of the audit.

    Raises RefusedRequest where it does not stand so that it can be.
    """
    action = {JobState.PAUSED: "job.pause", JobState.STOPPED: "job.stop"}[after]
    audit = replace(operator.entry(action, f"job {job.job_id}"), result=after.value)
    if not ledger.halt_job(job.job_id, _HALTS[after], after, audit):
        raise RefusedRequest(f"job {job.job_id} is {ledger.job(job.job_id).state}: nothing was changed")
    return audit


def run(
    settings: ReplaySettings, ledger: Ledger, publisher: Publisher, start: JobStart, controls: ReplayControls
) -> Replayed:
    """Run a job from where it stands: planned, paused, or left by a process that was killed. Returns when that is over.

    Raises LedgerUnavailable, and RefusedRequest where it is over, is run by somebody who lives, has another plan than
    the operator read, or needs a second operator.
    """
    job, runner, _ = _taken(settings, ledger, start, controls, is_discard=False)
    ReplayRun(ledger, publisher, settings, controls, job, runner).run()
    return _over(ledger, job)


def discard(settings: ReplaySettings, ledger: Ledger, start: JobStart, controls: ReplayControls) -> Replayed:
    """Give up for good what is left of a job that was planned for it. Raises as `run` does."""
    job, runner, begun = _taken(settings, ledger, start, controls, is_discard=True)
    discard_left(ledger, controls, job, runner, begun)
    return _over(ledger, job)


def _taken(
    settings: ReplaySettings, ledger: Ledger, start: JobStart, controls: ReplayControls, *, is_discard: bool
) -> tuple[Job, str, AuditEntry]:
    """Take a job; return it, who has it from now on, and the line of the audit that says so. Raises as `run` does."""
    job = _free(ledger, ledger.job(start.job_id), controls)
    if job.is_discard is not is_discard:
        raise RefusedRequest(f"job {job.job_id}: what it plans is to have its dead letters {job.deed}")
    if job.state not in _RUNS:
        raise RefusedRequest(f"job {job.job_id} is {job.state}: what remains needs another plan")
    if not job.hash or start.hash != job.hash or _hash(settings, ledger, job) != job.hash:
        raise RefusedRequest(f"job {job.job_id}: its plan is another one than you read: plan it anew")
    settings.four_eyes.require(ledger, job, report(ledger, job).figures.ready, start.operator)
    runner = f"{socket.gethostname()} process {os.getpid()} {secrets.token_hex(4)}"
    ends = job.ends if job.state is JobState.PLANNED else ()
    begun = _begun(job, start.operator)
    if not ledger.take_job(job, runner, begun, partial(store.end, keys=ends)):
        raise RefusedRequest(f"job {job.job_id}: somebody else changed it just now: look at it again")
    return job, runner, begun


def _over(ledger: Ledger, job: Job) -> Replayed:
    over = one(ledger, job.job_id)
    return Replayed(over.job, over.result, over.left_out)


def _begun(job: Job, operator: Operator) -> AuditEntry:
    """The line of the audit that says who began, or resumed, which plan."""
    if job.state is not JobState.PLANNED:
        return replace(operator.entry("job.resume", f"job {job.job_id}"), result="resumed")
    reason = operator.reason or job.audit.reason
    planner = f", planned by {job.audit.actor}" if job.audit.actor != operator.name else ""
    plan = f"job {job.job_id}, plan {job.hash}{planner}"
    return replace(job.audit, actor=operator.name, reason=reason, plan=plan, result=BEGUN)


def _free(ledger: Ledger, job: Job, controls: ReplayControls) -> Job:
    """Return *job* once nobody is at it, or whoever was gave no sign of life for a while by our own clock.

    Raises RefusedRequest where they do.
    """
    end = time.monotonic() + LEASE
    while job.runner is not None and time.monotonic() < end and not controls.is_stopping():
        controls.sleep(LOOK_SECONDS)
        before, job = job, ledger.job(job.job_id)
        if job.state is JobState.RUNNING and (before.runner, before.at) != (job.runner, job.at):
            raise RefusedRequest(f"job {job.job_id}: {job.runner} runs it")
    if job.runner is not None and controls.is_stopping():
        raise RefusedRequest(f"job {job.job_id}: nothing was changed")
    return job


def _created(ledger: Ledger, pages: ReplayPages, pace: Pace, operator: Operator) -> str:
    now = datetime.now(UTC)
    job = Job(
        job_id=secrets.token_hex(4),
        hash="",
        state=JobState.PLANNED,
        why="",
        runner=None,
        planned_at=now,
        at=now,
        audit=operator.entry(pages.action, pages.scope),
        pace=pace,
        is_judged=pages.is_judged,
        claims=pages.claims,
        ends=pages.ends,
    )
    ledger.create_job(job)
    return job.job_id


def _stored(ledger: Ledger, job_id: str, pages: Iterable[ReplayPlan]) -> Iterator[ReplayPlan]:
    position = 0
    for page in pages:
        judged: list[tuple[DeadLetterRow, str | None]] = [(row, None) for row in page.ready]
        judged += [(row, refusal.value) for row, refusal in page.refused]
        planned = [planned_letter(row, place, why) for place, (row, why) in enumerate(judged, position)]
        ledger.add_to_job(job_id, planned)
        position += len(planned)
        yield page


def _hash(settings: ReplaySettings, ledger: Ledger, job: Job) -> str:
    return plan_hash(settings.secret, job, letters(ledger, job))


def _record_altered(ledger: Ledger, found: PlanFigures, scope: str, operator: Operator) -> None:
    if count := found.refused[Refusal.ALTERED.value]:
        ids = ", ".join(found.altered)
        ledger.audit(replace(operator.entry("dead-letter.altered", scope, count), result=ids))
