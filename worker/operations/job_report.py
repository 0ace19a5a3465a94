"""How far a replay got, in figures: of a job that is planned, that runs, or that is over."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from worker.ledger import LEFT, OUT, Fate, Job, JobGroup, Ledger
from worker.operations.replay_plan import PlanFigures


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay, or a discard, came to, in numbers of dead letters."""

    replayed: int  # published, confirmed by the broker
    taken: int  # left to another replay that had them first
    changed: int  # left out, because they are others than were planned
    not_published: int  # free again
    settled: int
    died: int
    remaining: int  # what the next run of the job would do
    stopped: str | None = None  # why it ended early
    discarded: int = 0  # given up for good

    @property
    def pending(self) -> int:
        """Replayed ones of which nothing was heard so far."""
        return self.replayed - self.settled - self.died


@dataclass(frozen=True, slots=True)
class JobReport:
    """A job, and its dead letters in groups of those that are alike."""

    job: Job
    groups: tuple[JobGroup, ...]

    @property
    def figures(self) -> PlanFigures:
        """What was planned."""
        planned, refused = Counter[tuple[str | None, str]](), Counter[str]()
        for group in self.groups:
            if group.fate is Fate.REFUSED:
                refused[group.why] += group.count
            else:
                planned[group.provider, group.reason] += group.count
        return PlanFigures(planned, refused)

    @property
    def left_out(self) -> Mapping[str, int]:
        """How many are others than were planned, by what changed, most first."""
        changed = Counter[str]()
        for group in self.groups:
            if group.fate is Fate.CHANGED:
                changed[group.why] += group.count
        return dict(changed.most_common())

    @property
    def result(self) -> ReplayResult:
        """What it came to so far."""
        return ReplayResult(
            replayed=self._count(*OUT),
            discarded=self._count(Fate.DISCARDED),
            taken=self._count(Fate.TAKEN),
            changed=self._count(Fate.CHANGED),
            not_published=self._count(Fate.NOT_PUBLISHED),
            settled=self._count(Fate.SETTLED),
            died=self._count(Fate.DIED),
            remaining=self._count(*LEFT),
            stopped=self.job.why or None,
        )

    def _count(self, *fates: Fate) -> int:
        return sum(group.count for group in self.groups if group.fate in fates)


def report(ledger: Ledger, job: Job) -> JobReport:
    """Return how far *job* got. Raises LedgerUnavailable."""
    return JobReport(job, tuple(ledger.job_groups(job.job_id)))


def in_words(result: ReplayResult, deed: str) -> str:
    """*result* of a job that does *deed*, for the audit."""
    parts = {
        "replayed": result.replayed,
        "discarded": result.discarded,
        "taken by another": result.taken,
        "left out": result.changed,
        "remaining": result.remaining,
    }
    counts = ", ".join(f"{count} {what}" for what, count in parts.items() if count or what == deed)
    return f"{counts}; stopped: {result.stopped}" if result.stopped else counts
