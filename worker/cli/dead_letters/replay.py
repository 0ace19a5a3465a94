"""`dead-letter replay`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from worker import process
from worker.cli.consent import Change, changes
from worker.cli.dead_letters.selection import nothing_found, selecting_for_change
from worker.cli.dead_letters.views import GROUPS, replay_document, replay_in_words, show_result
from worker.cli.exits import Exit, finish
from worker.cli.holds import note_held
from worker.cli.output import note, print_json, progress
from worker.cli.params import Rate, gathered
from worker.operations import replay as operation
from worker.operations import replay_plan
from worker.operations.dead_letters import Selection
from worker.operations.opening import open_ledger, open_publisher
from worker.operations.replay import Controls, Pace, ReplayRequest
from worker.operations.text import counted
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.broker.publisher import Publisher

CANARY_WAIT: Final = 30.0  # seconds a canary is waited for, where --wait says nothing else

rate_option = click.option("--rate", type=Rate(), default="50/s", show_default=True, help="How fast: 5/s, 30/m, 100/h.")
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
@gathered("pace", _pace, _PACE)
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
        note_held(ledger, figures.providers)
        if not figures.ready:
            finish(Exit.REFUSED)
            return
        if change.is_agreed(f"Replay {counted(figures.ready)}?"):
            request = ReplayRequest(planned, pace, change.operator)
            with followed(settings, figures.ready) as (publisher, controls):
                done = operation.replay(settings, ledger, publisher, request, controls)
            finish(show_result(change.form, "replay", figures, done))


@contextmanager
def followed(settings: Settings, total: int) -> Iterator[tuple[Publisher, Controls]]:
    """A publisher for a replay of *total* dead letters, and its progress. Ctrl-C ends it after the step it is in."""
    with (
        open_publisher(settings) as publisher,
        progress(total, "replaying") as advance,
        process.stop_event() as stop,
    ):
        yield publisher, Controls(advance, stop.is_set, stop.wait)


def _show_plan(figures: replay_plan.PlanFigures, pace: Pace, change: Change) -> None:
    if not change.form.is_json and figures.ready:
        GROUPS.show(change.form, figures.groups.most_common())
    elif change.form.is_json and (change.dry_run or not figures.ready):
        print_json("replay_plan", replay_document(figures, pace.rate), indent=None)
    note(replay_in_words(figures, pace.rate))
