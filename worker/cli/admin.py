"""`revoker config`, `topology` and `ledger`: settings in force; queues and schema, which not every user may make."""

import json

import click

from worker.cli.consent import calls
from worker.cli.output import Column, Form, Listing, note, output_option
from worker.cli.tree import Commands
from worker.operations import opening
from worker.operations.config import Setting, in_force
from worker.settings import Settings

config = Commands("config", help="The settings in force.")
topology = Commands("topology", help="The broker's exchanges and queues.")
ledger_schema = Commands("ledger", help="The ledger's schema.")


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
@calls(opening.declare_topology)
def declare() -> None:
    """Declare them, for processes whose broker users may not. Again after each new provider and each upgrade."""
    opening.declare_topology(Settings.load())
    note("exchanges and queues are as they should be")


@topology.command()
def permissions() -> None:
    """Print the permissions of the processes' users, as `rabbitmqctl import_definitions` takes them on stdin.

    They are for the virtual host and the operator of `broker_url`; no password changes. Import them after each upgrade.
    """
    click.echo(json.dumps(opening.permissions(Settings.load()), indent=2))


@ledger_schema.command()
@calls(opening.upgrade_ledger)
def upgrade() -> None:
    """Bring the schema to its newest revision. The recorder does the same at its start."""
    opening.upgrade_ledger(Settings.load())
    note("the ledger's schema is up to date")
