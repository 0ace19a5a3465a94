"""`revoker ledger`: the ledger's schema."""

from __future__ import annotations

from worker.cli.opening import open_ledger
from worker.cli.output import say
from worker.cli.tree import Commands
from worker.settings import Settings

ledger = Commands("ledger", help="The ledger's schema.")


@ledger.command()
def upgrade() -> None:
    """Bring the schema to its newest revision. The recorder does the same at its start."""
    with open_ledger(Settings.load()) as opened:
        opened.upgrade()
    say("the ledger's schema is up to date")
