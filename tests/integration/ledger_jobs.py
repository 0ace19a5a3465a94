"""Jobs in a ledger without a broker: planned of the dead letters that are there, taken, and run step by step."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ledger_records import START, entry
from replay_desk import SECRET

from worker.ledger import DeadLetterFilter, DeadLetterState, Job, JobLetter, JobState, Ledger, Pace
from worker.ledger.job_rows import JobStep, plan_hash, planned_letter

EVERY = DeadLetterFilter(states=tuple(DeadLetterState), newest_first=False)


def job_of(ledger: Ledger, **changed: Any) -> Job:
    """A job of every dead letter there is."""
    job_id = secrets.token_hex(4)
    made = Job(job_id, "", JobState.PLANNED, "", None, START, START, entry(), Pace(50.0), True, False, ())  # noqa: FBT003
    ledger.create_job(replace(made, **changed))
    rows = ledger.dead_letters(EVERY)
    ledger.add_to_job(job_id, [planned_letter(row, place) for place, row in enumerate(rows)])
    ledger.complete_job(job_id, plan_hash(SECRET, made, ledger.job_letters(job_id, 1000)))
    return ledger.job(job_id)


def taken(ledger: Ledger, job: Job, runner: str = "first") -> Job:
    """*job*, run by *runner* from now on."""
    assert ledger.take_job(ledger.job(job.job_id), runner, job.audit, lambda _: None)
    return ledger.job(job.job_id)


def step_of(ledger: Ledger, job: Job, count: int = 100) -> Sequence[JobLetter]:
    """The next dead letters of *job*."""
    return [each for each in ledger.job_letters(job.job_id, 1000) if each.fate == "planned"][:count]


def claimed(ledger: Ledger, job: Job, runner: str = "first", **refused: str) -> JobStep | None:
    """What *runner* gets of all that is left; *refused*: by id, why not."""
    return ledger.claim_step(job, runner, step_of(ledger, job), refused)


def fates(ledger: Ledger, job: Job) -> dict[str, tuple[str, str]]:
    """By id: what became of each, and why."""
    return {each.dead_letter_id: (each.fate.value, each.why) for each in ledger.job_letters(job.job_id, 1000)}
