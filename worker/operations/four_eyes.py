"""Four eyes: a large replay, release or discard is planned by one operator and run by another one, who reads it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from worker.ledger import DISCARDS, Job, JobState, Ledger, Operator
from worker.operations import RefusedRequest
from worker.operations.text import counted, short_duration
from worker.settings.four_eyes import FourEyesSettings

RELEASE: Final = "guard.release"
LIFETIME: Final = timedelta(hours=24)  # of a plan that waits for a second operator
LISTED: Final = 100  # plans that wait, at most
ASKED: Final = "a second operator is asked for"


@dataclass(frozen=True, slots=True)
class FourEyes:
    """From how many on a second operator is needed; None: one is enough."""

    release: int | None = None
    replay: int | None = None
    discard: int | None = None

    @classmethod
    def of(cls, settings: FourEyesSettings) -> Self:
        """Those in force."""
        return cls(settings.release, settings.replay, settings.discard)

    def are_needed(self, job: Job, count: int) -> bool:
        """Whether *job* of *count* dead letters, which nobody has begun, needs a second operator."""
        return job.state is JobState.PLANNED and self.are_reached(job.audit.action, count)

    def are_reached(self, action: str, count: int) -> bool:
        """Whether *action*, as the audit calls it, on *count* dead letters is one that needs a second operator."""
        least = self.discard if action in DISCARDS else self.release if action == RELEASE else self.replay
        return least is not None and count >= least

    def require(self, ledger: Ledger, job: Job, count: int, operator: Operator) -> None:
        """Return where *operator* may begin *job* of *count* dead letters.

        Where they planned it themselves, it is put on record that they ask for a second one. Raises RefusedRequest
        then, and where the plan has waited for too long.
        """
        if not self.are_needed(job, count):
            return
        if datetime.now(UTC) - job.planned_at > LIFETIME:
            raise RefusedRequest(f"job {job.job_id} waited longer than {short_duration(LIFETIME)}: plan it anew")
        if is_same_person(operator.name, job.audit.actor):
            ask(ledger, job, count, operator)
            what = f"{counted(count)} need a second operator, who is asked for now"
            raise RefusedRequest(f"{what}; anybody but you: revoker dlq jobs resume {job.job_id}")


def ask(ledger: Ledger, job: Job, count: int, operator: Operator) -> None:
    """Have *job* wait for a second operator, and put on record who asks for one and why; once."""
    plan = f"job {job.job_id}, plan {job.hash}"
    audit = operator.entry("job.ask", job.audit.scope, plan=plan)
    ledger.ask_job(job.job_id, ASKED, replace(audit, result=f"{count} wait for a second operator"))


def waiting(ledger: Ledger) -> list[Job]:
    """Return the jobs for which a second operator is asked for, the last planned first. Raises LedgerUnavailable."""
    now = datetime.now(UTC)
    planned = ledger.jobs(LISTED, [JobState.PLANNED])
    return [job for job in planned if job.why == ASKED and now - job.planned_at <= LIFETIME]


def is_same_person(one: str, other: str) -> bool:
    """Whether two names may be those of one person: `olga` at the console is `olga@host` on the command line."""
    return _person(one) == _person(other)


def _person(name: str) -> str:
    return name.partition("@")[0].casefold()
