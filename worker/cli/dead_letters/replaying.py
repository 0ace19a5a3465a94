"""What the commands that replay something have in common: its pace, its plan, its progress, and what it came to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import Final

import click

from worker import process
from worker.cli import params
from worker.cli.consent import Change
from worker.cli.exits import Exit
from worker.cli.output import Column, Document, Form, Listing, note, print_json, progress
from worker.ledger import Pace
from worker.operations.job_report import ReplayResult
from worker.operations.jobs import PlannedJob, Replayed
from worker.operations.replay import INTERRUPTED, ReplayControls
from worker.operations.replay_plan import PlanFigures
from worker.operations.text import counted, short_duration

Group = tuple[tuple[str | None, str], int]  # provider and reason, how many

GROUPS: Listing[Group] = Listing(
    "dead_letter_group",
    (
        Column("PROVIDER", lambda group: group[0][0], cut=1),
        Column("REASON", lambda group: group[0][1], cut=2),
        Column("COUNT", lambda group: counted(group[1]), right=True),
    ),
    lambda group: {"provider": group[0][0], "reason": group[0][1], "count": group[1]},
)
_RESULT: Listing[tuple[str, int]] = Listing(
    "replay_result",
    (Column("RESULT", lambda line: line[0]), Column("COUNT", lambda line: counted(line[1]), right=True)),
    lambda line: {"result": line[0], "count": line[1]},
)

CANARY_WAIT: Final = 30.0  # seconds a canary is waited for, where --wait says nothing else

rate_option = click.option(
    "--rate", type=params.rate, default="50/s", show_default=True, help="How fast: 5/s, 30/m, 100/h."
)
_PACE: Final = (
    rate_option,
    click.option("--canary", type=click.IntRange(1), metavar="N", help="Replay N first; go on when all have settled."),
    click.option("--stop-after-failures", type=click.IntRange(1), metavar="N", help="Stop when N have died again."),
    click.option(
        "--wait",
        type=click.FloatRange(0),
        metavar="SECONDS",
        help="Wait so long for what becomes of them. Default: 30 with --canary or --stop-after-failures, else 0.",
    ),
)


def _pace(rate: float, canary: int | None, stop_after_failures: int | None, wait: float | None) -> Pace:
    default_wait = CANARY_WAIT if canary or stop_after_failures else 0.0
    return Pace(rate, canary or 0, stop_after_failures, default_wait if wait is None else wait)


with_pace: Final = params.gathered("pace", _pace, _PACE)


@contextmanager
def followed(total: int, doing: str = "replaying") -> Iterator[ReplayControls]:
    """Show the progress of *doing* something with *total* things. Ctrl-C ends it after the step it is in."""
    with progress(total, doing) as advance, process.stop_event() as stop:
        yield ReplayControls(advance, stop.is_set, stop.wait)


def show_plan(planned: PlannedJob, pace: Pace, change: Change) -> None:
    """Show what a replay would do: which groups are ready, how long it takes, what is refused and why."""
    figures, job = planned.figures, planned.job
    if not change.form.is_json and figures.ready:
        GROUPS.show(change.form, figures.groups.most_common())
    elif change.form.is_json and (change.dry_run or not figures.ready):
        print_json("replay_plan", _plan_document(figures, pace), indent=None)
    note(_plan_in_words(figures, pace))
    if job is not None:
        note(f"job {job.job_id}, plan {job.hash[:16]}")


def _plan_document(plan: PlanFigures, pace: Pace) -> Document:
    return {
        "ready": plan.ready,
        "groups": [GROUPS.document(group) for group in plan.groups.most_common()],
        "refused": plan.refusals,
        "seconds": round(plan.ready / pace.rate, 1),
        "rate": pace.rate,
        "canary": pace.canary,
        "stop_after_failures": pace.stop_after_failures,
    }


def _plan_in_words(plan: PlanFigures, pace: Pace) -> str:
    refused = ", ".join(f"{counted(count)} {refusal}" for refusal, count in plan.refusals.items())
    more = f"; refused: {refused}" if refused else ""
    return f"{counted(plan.ready)} to replay{how_long(plan.ready, pace)}{more}"


def how_long(count: int, pace: Pace) -> str:
    """How long *count* dead letters take at *pace*, and whether some go first, in words."""
    duration = short_duration(timedelta(seconds=count / pace.rate))
    first = f", {counted(pace.canary)} of them first" if pace.canary else ""
    return f", about {duration} at {per_time(pace.rate)}{first}"


def per_time(rate: float) -> str:
    """*rate*, which is per second, as an operator gives it: 5/s, 30/m, 100/h."""
    for unit, seconds in (("s", 1), ("m", 60)):
        if rate * seconds >= 1:
            return f"{rate * seconds:g}/{unit}"
    return f"{rate * 3600:g}/h"


def show_result(form: Form, name: str, plan: PlanFigures, done: Replayed) -> Exit:
    """Tell what a replay came to, *name* is that of its JSON schema; return its exit code."""
    result, job = done.result, done.job
    if form.is_json:
        numbers = asdict(result) | {"pending": result.pending, "refused": plan.refusals, "left_out": done.left_out}
        print_json(name, {"audit_id": job.audit.audit_id, "job_id": job.job_id, **numbers}, indent=None)
    else:
        _RESULT.show(form, _lines(plan, done))
    if result.stopped:
        note(f"stopped: {result.stopped}")
    if result.remaining:
        note(f"{counted(result.remaining)} remain: revoker dlq jobs resume {job.job_id}")
    note(f"job {job.job_id}, audit {job.audit.audit_id}")
    return _exit_code(plan, result)


def _lines(plan: PlanFigures, done: Replayed) -> list[tuple[str, int]]:
    """What a job came to, line by line; lines of nothing are left out."""
    result = done.result
    lines = {
        "replayed": result.replayed,
        "discarded": result.discarded,
        "settled": result.settled,
        "died again": result.died,
        "no news yet": result.pending,
        "left to another replay": result.taken,
        **{f"left out: {why}": count for why, count in done.left_out.items()},
        "not published": result.not_published,
        "remaining": result.remaining,
        **{f"refused: {refusal}": count for refusal, count in plan.refusals.items()},
    }
    return [(what, count) for what, count in lines.items() if count or what == done.job.deed]


def _exit_code(plan: PlanFigures, result: ReplayResult) -> Exit:
    if result.stopped == INTERRUPTED:
        return Exit.INTERRUPTED
    if result.not_published and not result.replayed:
        return Exit.UNAVAILABLE
    incomplete = result.stopped or result.not_published or result.died or result.changed or plan.refused
    return Exit.PARTIAL if incomplete else Exit.DONE
