"""`dead-letter replay` and `dead-letter discard`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import Final

import click

from worker import process
from worker.cli import params
from worker.cli.consent import Change, changes
from worker.cli.dead_letters.selection import nothing_found, selecting_for_change
from worker.cli.exits import Exit, finish
from worker.cli.output import Column, Document, Form, Listing, note, print_json, progress
from worker.operations import dead_letters, holds, replay_plan
from worker.operations import replay as operation
from worker.operations.dead_letters import Selection
from worker.operations.opening import open_ledger, open_publisher
from worker.operations.replay import INTERRUPTED, Pace, ReplayControls, Replayed, ReplayRequest, ReplayResult
from worker.operations.replay_plan import PlanFigures
from worker.operations.text import counted, short_duration
from worker.settings import Settings

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


@click.command()
@selecting_for_change
@changes(operation.replay, reason_required=False)
@params.gathered("pace", _pace, _PACE)
@click.option(
    "--unvouched", is_flag=True, help="Also refused events kept by an older version: as claims, to be proved anew."
)
@click.option(
    "--force", is_flag=True, help="Also what is settled, superseded, too old, a conflict, discarded or replayed."
)
def replay(selection: Selection, change: Change, pace: Pace, *, unvouched: bool, force: bool) -> None:
    """Give dead letters another try, oldest first, each with a fresh time budget. Shows the plan and asks first."""
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        finder = None if change.dry_run else change.operator
        planned = replay_plan.plan_selected(settings, ledger, selection, force=force, claims=unvouched, finder=finder)
        figures = planned.figures
        if not figures.ready and not figures.refused:
            finish(nothing_found())
            return
        _show_plan(figures, pace, change)
        note(*holds.in_words(ledger, figures.providers))
        if not figures.ready:
            finish(Exit.REFUSED)
            return
        if change.is_agreed(f"Replay {counted(figures.ready)}?"):
            request = ReplayRequest(planned, pace, change.operator)
            with open_publisher(settings) as publisher, followed(figures.ready) as controls:
                done = operation.replay(settings, ledger, publisher, request, controls)
            finish(show_result(change.form, "replay", figures, done))


@contextmanager
def followed(total: int) -> Iterator[ReplayControls]:
    """Show the progress of a replay of *total* dead letters. Ctrl-C ends it after the step it is in."""
    with progress(total, "replaying") as advance, process.stop_event() as stop:
        yield ReplayControls(advance, stop.is_set, stop.wait)


def _show_plan(figures: PlanFigures, pace: Pace, change: Change) -> None:
    if not change.form.is_json and figures.ready:
        GROUPS.show(change.form, figures.groups.most_common())
    elif change.form.is_json and (change.dry_run or not figures.ready):
        print_json("replay_plan", _plan_document(figures, pace.rate), indent=None)
    note(_plan_in_words(figures, pace.rate))


def _plan_document(plan: PlanFigures, rate: float) -> Document:
    """The JSON of a replay that is planned."""
    return {
        "ready": plan.ready,
        "groups": [GROUPS.document(group) for group in plan.groups.most_common()],
        "refused": plan.refusals,
        "seconds": round(plan.ready / rate, 1),
    }


def _plan_in_words(plan: PlanFigures, rate: float) -> str:
    """One line about a replay that is planned."""
    duration = short_duration(timedelta(seconds=plan.ready / rate))
    refused = ", ".join(f"{counted(count)} {refusal}" for refusal, count in plan.refusals.items())
    more = f"; refused: {refused}" if refused else ""
    return f"{counted(plan.ready)} to replay, about {duration} at {_per_time(rate)}{more}"


def show_result(form: Form, name: str, plan: PlanFigures, done: Replayed) -> Exit:
    """Tell what a replay came to, *name* is that of its JSON schema; return its exit code."""
    result = done.result
    if form.is_json:
        numbers = asdict(result) | {"pending": result.pending, "refused": plan.refusals}
        print_json(name, {"audit_id": done.audit_id, **numbers}, indent=None)
    else:
        _RESULT.show(form, _lines(plan, result))
    if result.stopped:
        note(f"stopped: {result.stopped}")
    note(f"audit {done.audit_id}")
    return _exit_code(plan, result)


def _lines(plan: PlanFigures, result: ReplayResult) -> list[tuple[str, int]]:
    """What a replay came to, line by line; lines of nothing are left out."""
    lines = {
        "replayed": result.replayed,
        "settled": result.settled,
        "died again": result.died,
        "no news yet": result.pending,
        "left to another replay": result.taken,
        "not published": result.not_published,
        **{f"refused: {refusal}": count for refusal, count in plan.refusals.items()},
    }
    return [(what, count) for what, count in lines.items() if count or what == "replayed"]


def _exit_code(plan: PlanFigures, result: ReplayResult) -> Exit:
    if result.stopped == INTERRUPTED:
        return Exit.INTERRUPTED
    if result.not_published and not result.replayed:
        return Exit.UNAVAILABLE
    incomplete = result.stopped or result.not_published or result.died or plan.refused
    return Exit.PARTIAL if incomplete else Exit.DONE


def _per_time(rate: float) -> str:
    for unit, seconds in (("s", 1), ("m", 60)):
        if rate * seconds >= 1:
            return f"{rate * seconds:g}/{unit}"
    return f"{rate * 3600:g}/h"


@click.command()
@selecting_for_change
@changes(dead_letters.discard)
def discard(selection: Selection, change: Change) -> None:
    """Give dead letters up for good: their tokens stay alive, for all we know.

    A tombstone stays. To undo it: `list --state discarded`, then `replay ID --force`.
    """
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        planned = dead_letters.plan_discard(settings, ledger, selection)
        if not planned.ids:
            finish(nothing_found())
            return
        if not change.form.is_json or change.dry_run:
            GROUPS.show(change.form, planned.groups.most_common(), dry_run=change.dry_run)
        if change.is_agreed(f"Discard {counted(len(planned.ids))} for good?"):
            done = dead_letters.discard(ledger, planned, change.operator)
            show_discarded(change, "discard", done.audit_id, done.count)


def show_discarded(change: Change, name: str, audit_id: str, count: int) -> None:
    """Tell how many were given up; *name* is that of the JSON schema."""
    document = {"audit_id": audit_id, "discarded": count, "reason": change.reason}
    change.show(name, document, f"{counted(count)} discarded")
