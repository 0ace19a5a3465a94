"""`revoker flood`: the floods of events that are held back, and what becomes of them."""

from collections.abc import Sequence

import click

from worker.cli.consent import Change, changes
from worker.cli.dead_letters.changes import show_discarded
from worker.cli.dead_letters.replaying import followed, rate_option, show_result
from worker.cli.exits import CommandError, Exit, finish
from worker.cli.output import Column, Form, Listing, members, note, output_option
from worker.cli.params import gathered
from worker.cli.tree import Commands
from worker.intake.flood.store import FloodRow
from worker.ledger import Pace
from worker.operations import floods, jobs
from worker.operations.jobs import JobStart
from worker.operations.opening import open_ledger
from worker.operations.opening_broker import open_publisher
from worker.operations.replay import ReplaySettings
from worker.operations.text import age, counted
from worker.settings import Settings

flood = Commands("flood", help="Floods of events that wait for you: list, release, discard.")

_LISTING: Listing[FloodRow] = Listing(
    "flood",
    (
        Column("ID", floods.id_of),
        Column("EVENT", lambda each: each.event_type),
        Column("SOURCE", lambda each: each.source or "(all sources)", cut=1),
        Column("HELD", lambda each: counted(each.held), right=True),
        Column("OLDEST", lambda each: age(each.oldest_at), right=True),
        Column("OPEN FOR", lambda each: age(each.opened_at), right=True),
    ),
    lambda each: {
        "id": floods.id_of(each),
        "event_type": each.event_type,
        "source": each.source or None,
        **members(each, "held", "oldest_at", "opened_at"),
    },
)


@flood.command("list")
@output_option
def list_(form: Form) -> None:
    """List what is held back, by source and type. OPEN: what else this source tells of that type waits as well."""
    with open_ledger(Settings.load()) as ledger:
        found = floods.standing(ledger)
    if found or form.is_json:
        _LISTING.show(form, found)
    note(f"{counted(sum(each.held for each in found))} held back")


def _prefixes(ids: tuple[str, ...], everything: bool) -> tuple[str, ...]:  # noqa: FBT001 - as click names it
    if not ids and not everything:
        raise CommandError("nothing was changed: give ids, or --all for every flood", Exit.REFUSED)
    return () if everything else ids


_choosing = gathered(
    "prefixes",
    _prefixes,
    (
        click.argument("ids", nargs=-1, metavar="[ID]..."),
        click.option("--all", "everything", is_flag=True, help="Every flood; else give ids, as `list` shows them."),
    ),
)


@flood.command()
@_choosing
@changes(jobs.run)
@rate_option
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The first N only; the flood stays open.")
def release(prefixes: tuple[str, ...], change: Change, rate: float, limit: int | None) -> None:
    """Have what is held back take effect, in the order it came, and end the flood."""
    settings = Settings.load()
    of = ReplaySettings.of(settings)
    with open_ledger(settings) as ledger:
        found = floods.chosen(ledger, prefixes)
        _show(found, change)
        if change.dry_run:
            return
        planned = jobs.plan(of, ledger, floods.of_held(settings, ledger, found, limit), Pace(rate), change.operator)
        job, ready = planned.job, planned.figures.ready
        if change.is_agreed(f"Release {counted(ready)}?") and job is not None:
            start = JobStart(job.job_id, job.hash, change.operator)
            with open_publisher(settings) as publisher, followed(ready) as controls:
                done = jobs.run(of, ledger, publisher, start, controls)
            finish(show_result(change.form, "flood_release", planned.figures, done))


@flood.command()
@_choosing
@changes(floods.discard)
def discard(prefixes: tuple[str, ...], change: Change) -> None:
    """Give what is held back up for good, and end the flood. A tombstone of each stays."""
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        found = floods.chosen(ledger, prefixes)
        held = floods.held(ledger, found)
        _show(found, change)
        if change.is_agreed(f"Discard {counted(len(held))} for good?"):
            done = floods.discard(settings, ledger, found, held, change.operator)
            show_discarded(change, "flood_discard", done.audit_id, done.count)


def _show(found: Sequence[FloodRow], change: Change) -> None:
    if not change.form.is_json or change.dry_run:
        _LISTING.show(change.form, found, dry_run=change.dry_run)
