"""`dead-letter replay` and `dead-letter discard`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from worker.cli.consent import Change, changes
from worker.cli.dead_letters.replaying import GROUPS, followed, show_plan, show_result, with_pace
from worker.cli.dead_letters.selection import nothing_found, selecting_for_change
from worker.cli.exits import Exit, finish
from worker.cli.output import note
from worker.ledger import Pace
from worker.operations import discards, holds, jobs, replay_plan
from worker.operations.dead_letters import Selection
from worker.operations.jobs import JobStart, PlannedJob
from worker.operations.opening import open_ledger
from worker.operations.opening_broker import open_publisher
from worker.operations.replay import ReplaySettings
from worker.operations.replay_plan import ReplayPages
from worker.operations.text import counted
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.ledger import Ledger


@click.command()
@selecting_for_change
@changes(jobs.run, reason_required=False)
@with_pace
@click.option(
    "--unvouched", is_flag=True, help="Also refused events kept by an older version: as claims, to be proved anew."
)
@click.option(
    "--force", is_flag=True, help="Also what is settled, superseded, too old, a conflict, discarded or replayed."
)
def replay(selection: Selection, change: Change, pace: Pace, *, unvouched: bool, force: bool) -> None:
    """Give dead letters another try, oldest first, each with a fresh time budget. Shows the plan and asks first.

    What runs is what was shown, as a job: `jobs` pauses it, resumes it after whatever ended it, or stops it.
    """
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        pages = replay_plan.of_selected(settings, ledger, selection, force=force, claims=unvouched)
        planned = _planned(settings, ledger, pages, pace, change)
        if not planned.figures.ready and not planned.figures.refused:
            finish(nothing_found())
            return
        show_plan(planned, pace, change)
        note(*holds.in_words(ledger, planned.figures.providers))
        finish(_run(settings, ledger, planned, change))


def _planned(settings: Settings, ledger: Ledger, pages: ReplayPages, pace: Pace, change: Change) -> PlannedJob:
    """The plan, which a dry run does not store."""
    if change.dry_run:
        return PlannedJob(replay_plan.figures(pages.pages()), None)
    return jobs.plan(ReplaySettings.of(settings), ledger, pages, pace, change.operator)


def _run(settings: Settings, ledger: Ledger, planned: PlannedJob, change: Change) -> Exit:
    job, ready = planned.job, planned.figures.ready
    if not ready:
        return Exit.REFUSED
    if not change.is_agreed(f"Replay {counted(ready)}?") or job is None:
        return Exit.DONE
    start = JobStart(job.job_id, job.hash, change.operator)
    with open_publisher(settings) as publisher, followed(ready) as controls:
        done = jobs.run(ReplaySettings.of(settings), ledger, publisher, start, controls)
    return show_result(change.form, "replay", planned.figures, done)


@click.command()
@selecting_for_change
@changes(discards.discard)
def discard(selection: Selection, change: Change) -> None:
    """Give dead letters up for good: their tokens stay alive, for all we know.

    A tombstone stays. To undo it: `list --state discarded`, then `replay ID --force`.
    """
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        planned = discards.plan(settings, ledger, selection)
        if not planned.seen:
            finish(nothing_found())
            return
        if not change.form.is_json or change.dry_run:
            GROUPS.show(change.form, planned.groups.most_common(), dry_run=change.dry_run)
        if change.is_agreed(f"Discard {counted(len(planned.seen))} for good?"):
            done = discards.discard(settings, ledger, planned, change.operator)
            show_discarded(change, "discard", done.audit_id, done.count)


def show_discarded(change: Change, name: str, audit_id: str, count: int) -> None:
    """Tell how many were given up; *name* is that of the JSON schema."""
    document = {"audit_id": audit_id, "discarded": count, "reason": change.reason}
    change.show(name, document, f"{counted(count)} discarded")
