"""Plans to replay and to discard dead letters."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from worker.console.commands import command
from worker.console.desk import Desk
from worker.console.filters import LetterFilter
from worker.console.forms import Fields, count, read
from worker.console.plans import CarryOut, Done, Fact, Plan
from worker.ledger import Operator, Pace
from worker.operations import RefusedRequest, dead_letters, discards, holds, jobs, parsing, replay_plan
from worker.operations.four_eyes import FourEyes
from worker.operations.jobs import JobStart, PlannedJob, Replayed
from worker.operations.opening_broker import open_publisher
from worker.operations.replay import ReplayControls, ReplaySettings
from worker.operations.replay_plan import PlanFigures, ReplayPages
from worker.operations.text import counted, short_duration

WAIT: Final = 30.0  # seconds a canary, and what becomes of the last ones, is waited for
DISCARD_MEANS: Final = ("What it means", "their tokens stay alive, for all we know")
WHY: Final = ("--reason", "…")  # in a printed command, for the operator's own


@dataclass(frozen=True, slots=True)
class ChosenPace:
    """How fast a replay is to go, as an operator wrote it: *canary* and *failures* empty: none."""

    rate: str = "50/s"
    canary: str = "1"
    failures: str = "3"

    @classmethod
    def read(cls, form: Fields) -> Self:
        """Return that of a form; a form without one chooses the usual one. Raises HTTPBadRequest."""
        if "rate" not in form:
            return cls()
        read(form, "rate", parsing.rate)
        read(form, "canary", count)
        read(form, "failures", count)
        return cls(*(str(form.get(name, "")).strip() for name in ("rate", "canary", "failures")))

    @property
    def pace(self) -> Pace:
        """It in numbers."""
        return Pace(parsing.rate(self.rate), count(self.canary) or 0, count(self.failures), WAIT)

    @property
    def words(self) -> list[str]:
        """It as words of the command line."""
        canary = ["--canary", self.canary] if self.canary else []
        failures = ["--stop-after-failures", self.failures] if self.failures else []
        return ["--rate", self.rate, *canary, *failures]

    @property
    def fields(self) -> Mapping[str, str]:
        """It as fields of a form."""
        return {"rate": self.rate, "canary": self.canary, "failures": self.failures}


def to_replay(desk: Desk, where: LetterFilter, chosen: ChosenPace, planner: str, back: str) -> Plan:
    """Return the plan to replay what *where* finds, stored as a job; *planner* may come upon what somebody altered."""
    pages = replay_plan.of_selected(desk.settings, desk.ledger, where.selection)
    planned = planned_job(desk, pages, chosen.pace, planner)
    figures = planned.figures
    what = f"{counted(figures.ready)} dead letter{'s' * (figures.ready != 1)}"
    return Plan(
        title=f"Replay {what}" if figures.ready else "Nothing can be replayed",
        label=f"Replay {what}",
        facts=[
            *_facts(where, pages.scope),
            *pace_facts(chosen.pace, figures.ready),
            *second(desk, planned),
            *_held(desk, figures),
        ],
        commands=[command("dlq", "replay", *where.words(changing=True), *chosen.words, *WHY)],
        back=back,
        carry_out=running(desk, planned),
        total=figures.ready,
        groups=grouped(figures.groups),
        refused=figures.refusals,
        pace=chosen.fields,
        again=("/plan/replay", [*where.pairs(desk.names), *(("id", each) for each in where.ids), ("back", back)]),
        job=named(planned),
    )


def to_discard(desk: Desk, where: LetterFilter, back: str) -> Plan:
    """Return the plan to give up what *where* finds, for good."""
    planned = discards.plan(desk.settings, desk.ledger, where.selection)
    number = len(planned.seen)

    def carry_out(operator: Operator, _: ReplayControls) -> Done:
        entry = discards.discard(desk.settings, desk.ledger, planned, operator)
        return Done(entry.audit_id, [("discarded", counted(entry.count))])

    return Plan(
        title=f"Discard {counted(number)} dead letter{'s' * (number != 1)} for good" if number else "Nothing matches",
        label="Discard for good",
        facts=[*_facts(where, planned.scope), DISCARD_MEANS, *second_to_discard(desk, number)],
        commands=[command("dlq", "discard", *where.words(changing=True), *WHY)],
        back=back,
        carry_out=carry_out,
        total=number,
        groups=grouped(planned.groups),
        word=str(number),
    )


def planned_job(desk: Desk, pages: ReplayPages, pace: Pace, planner: str) -> PlannedJob:
    """Return the replay of *pages* as *planner* plans it; why they do it they say when they confirm it."""
    return jobs.plan(ReplaySettings.of(desk.settings), desk.ledger, pages, pace, Operator(planner, ""))


def named(planned: PlannedJob) -> tuple[str, str] | None:
    """Return the id and the hash of a planned job; None where there is nothing to do."""
    return None if planned.job is None else (planned.job.job_id, planned.job.hash)


def running(desk: Desk, planned: PlannedJob) -> CarryOut:
    """Return what runs a planned job, or what remains of it."""

    def carry_out(operator: Operator, controls: ReplayControls) -> Done:
        if planned.job is None:
            raise RefusedRequest("nothing of this can be replayed")
        start, of = JobStart(planned.job.job_id, planned.job.hash, operator), ReplaySettings.of(desk.settings)
        if planned.job.is_discard:
            return told(planned.figures, jobs.discard(of, desk.ledger, start, controls))
        with open_publisher(desk.settings) as publisher:
            return told(planned.figures, jobs.run(of, desk.ledger, publisher, start, controls))

    return carry_out


def told(figures: PlanFigures, done: Replayed) -> Done:
    """Return what a replay came to."""
    result = done.result
    lines = {
        "replayed": result.replayed,
        "discarded": result.discarded,
        "settled": result.settled,
        "died again": result.died,
        "no news yet": result.pending,
        "left to another replay": result.taken,
        **{f"left out: {why}": number for why, number in done.left_out.items()},
        "remain": result.remaining,
        **{f"refused: {refusal}": number for refusal, number in figures.refusals.items()},
    }
    shown = [(what, counted(number)) for what, number in lines.items() if number or what == done.job.deed]
    return Done(done.job.audit.audit_id, shown, result.stopped)


def grouped(groups: dead_letters.Groups) -> list[tuple[str, str, int]]:
    """Return *groups* as a plan shows them, most first."""
    return [(provider or "–", reason, number) for (provider, reason), number in groups.most_common()]


def _facts(where: LetterFilter, scope: str) -> list[Fact]:
    return [("Which", f"{len(where.ids)} marked" if where.ids else scope)]


def pace_facts(pace: Pace, number: int) -> list[Fact]:
    """Return how *number* dead letters go at *pace*."""
    duration, failures = short_duration(timedelta(seconds=number / pace.rate)), pace.stop_after_failures
    return [
        ("Rate", f"{pace.rate:g} a second, so about {duration}"),
        ("Canary", f"{pace.canary} first; the rest when all of these have settled" if pace.canary else "none"),
        ("Stops itself", f"when {failures} have died again" if failures else "never"),
    ]


def second(desk: Desk, planned: PlannedJob) -> list[Fact]:
    """Return who may run a planned job, where not everybody may."""
    job, count = planned.job, planned.figures.ready
    if job is None or not FourEyes.of(desk.settings.four_eyes).are_needed(job, count):
        return []
    return [("Second operator", f"anybody but {job.audit.actor} may run it, within a day of the plan")]


def second_to_discard(desk: Desk, number: int, action: str = discards.ACTION) -> list[Fact]:
    """Return that whoever plans to discard *number* dead letters only asks for it, where that is so."""
    if not FourEyes.of(desk.settings.four_eyes).are_reached(action, number):
        return []
    return [("Second operator", "you ask for one, who discards them or leaves it, within a day")]


def _held(desk: Desk, figures: PlanFigures) -> list[Fact]:
    return [("Held", line) for line in holds.in_words(desk.ledger, figures.providers)]
