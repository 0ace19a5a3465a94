"""`revoker config`, `topology` and `ledger`: settings in force; queues and schema, which not every user may make."""

import json
from dataclasses import asdict
from datetime import timedelta

import click

from worker.cli import params
from worker.cli.consent import Change, calls, changes, operator
from worker.cli.dead_letters.replaying import followed
from worker.cli.exits import Exit, finish
from worker.cli.output import Column, Form, Listing, note, output_option, print_json
from worker.cli.tree import Commands
from worker.operations import opening_broker, preparation, pruning
from worker.operations.config import Setting, in_force
from worker.operations.opening import open_ledger
from worker.operations.text import counted
from worker.settings import Settings

config = Commands("config", help="The settings in force.")
topology = Commands("topology", help="The broker's exchanges and queues.")
of_ledger = Commands("ledger", help="The ledger: bring its schema up to date, prune it.")


_LISTING: Listing[Setting] = Listing(
    "setting",
    (
        Column("SETTING", lambda each: each.name),
        Column("VALUE", lambda each: each.value, cut=2),
        Column("FROM", lambda each: each.origin, cut=1),
    ),
    lambda each: {"name": each.name, "value": each.value, "from": each.origin},
)


@config.command()
@output_option
def show(form: Form) -> None:
    """Show every setting in force, secrets masked, and where each came from."""
    _LISTING.show(form, in_force())


@topology.command()
@calls(preparation.declare_topology)
def declare() -> None:
    """Declare them, for processes whose broker users may not. Again after each new provider and each upgrade."""
    recorded = preparation.declare_topology(Settings.load(), operator())
    note(f"exchanges and queues are as they should be, {recorded.in_words()}")


@topology.command()
def permissions() -> None:
    """Print the permissions of the processes' users, as `rabbitmqctl import_definitions` takes them.

    They are for the virtual host and the operator of `broker_url`; no password changes. Import them after each upgrade.
    """
    click.echo(json.dumps(opening_broker.permissions(Settings.load()), indent=2))


@of_ledger.command()
@calls(preparation.upgrade_ledger)
def upgrade() -> None:
    """Bring the schema to its newest revision. The recorder does the same at its start."""
    audit = preparation.upgrade_ledger(Settings.load(), operator())
    note(f"the ledger's schema is up to date, audit {audit.audit_id}")


@of_ledger.command()
@click.option(
    "--older-than",
    type=params.span,
    metavar="SPAN",
    help="Over for longer than: 6h, 30d. Default: storage.events_days, storage.letters_days.",
)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(pruning.STATES),
    help="Events whose calls are settled, letters that were replayed, or discarded. Default: all three.",
)
@changes(pruning.prune)
def prune(older_than: timedelta | None, states: tuple[str, ...], change: Change) -> None:
    """Forget what is over now, and not when the recorder comes to it. Nothing that waits for an operator goes.

    It goes in small steps, between which the recorder writes on; Ctrl-C ends it after the step it is in. The audit is
    not pruned: it is forgotten by its own age, storage.audit_days.
    """
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        planned = pruning.plan(settings, ledger, older_than, states)
        if change.form.is_json and change.dry_run:
            print_json("pruning_plan", {**asdict(planned.old), "scope": planned.scope})
        note(f"would be forgotten: {planned.in_words()} ({planned.scope})")
        if not planned.total:
            note("nothing was changed: nothing is so old")
            return
        if change.is_agreed(f"Forget {planned.in_words()} for good?"):
            with followed(planned.total, "forgetting") as controls:
                done = pruning.prune(ledger, planned, change.operator, controls)
            document = {"audit_id": done.audit_id, "removed": done.removed, "stopped": done.stopped}
            change.show("pruning", document, f"{counted(done.removed)} forgotten")
            finish(Exit.INTERRUPTED if done.stopped else Exit.DONE)
