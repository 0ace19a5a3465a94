"""One run of a job that discards: step by step in the ledger, so whatever ends it, the next run does the rest."""

from dataclasses import replace

from worker.ledger import AuditEntry, Fate, Job, Ledger
from worker.operations.job_report import in_words, report
from worker.operations.replay import HALTED, INTERRUPTED, MAX_STEP, ReplayControls


def discard_left(ledger: Ledger, controls: ReplayControls, job: Job, runner: str, begun: AuditEntry) -> None:
    """Give up what is left of *job*, which *runner* took as *begun* tells. Raises LedgerUnavailable."""
    stopped = ""
    while not stopped and (step := ledger.job_letters(job.job_id, MAX_STEP, Fate.PLANNED)):
        if controls.is_stopping():
            stopped = INTERRUPTED
        elif ledger.discard_step(job, runner, step):
            controls.progress(len(step))
        else:
            stopped = HALTED
    now = report(ledger, ledger.job(job.job_id)).result
    told = now if stopped == HALTED else replace(now, stopped=stopped or None)
    ledger.leave_job(job.job_id, runner, stopped, replace(begun, result=in_words(told, job.deed)))
