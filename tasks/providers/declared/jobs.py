"""What an asynchronous provider has begun: its name, by which it is asked about until it is done."""

from typing import Final

from tasks.call import ProviderCall
from tasks.providers.answers import Answer
from tasks.providers.declared.calls import StatusCall
from tasks.providers.declared.outcomes import at
from tasks.providers.declared.user_ids import is_user_id

JOB: Final = "job"  # the detail of an attempt that names it
_LONGEST: Final = 64  # characters: as a detail may have


def job_of(asked: StatusCall, answer: Answer) -> str | None:
    """Return the name of what *answer* began; of an address the last segment. None where there is no good one."""
    kind, _, name = asked.job.partition(":")
    told = answer.headers.get(name) if kind == "header" and name else at(answer.document(), asked.job)
    job = str(told).rstrip("/").rpartition("/")[2] if isinstance(told, str | int) else ""
    return job if len(job) <= _LONGEST and is_user_id(asked.job_id, job) else None


def begun_by(asked: StatusCall, call: ProviderCall) -> str | None:
    """Return what the last attempt at *call* began, or found under way; None where it is to be asked for."""
    job = call.attempts[-1].detail.get(JOB) if call.attempts else None
    return job if job and is_user_id(asked.job_id, job) else None
