"""`revoker config show`: the settings in force."""

from __future__ import annotations

from worker.cli.output import Column, Form, Listing, output_option
from worker.cli.tree import Commands
from worker.operations.config import Setting, in_force

config = Commands("config", help="The settings in force.")

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
