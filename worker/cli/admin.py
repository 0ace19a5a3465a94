"""`revoker topology` and `revoker ledger`: queues and schema, for processes whose users may not make them."""

from __future__ import annotations

from worker.cli.consent import calls
from worker.cli.output import note
from worker.cli.tree import Commands
from worker.operations import admin
from worker.settings import Settings

topology = Commands("topology", help="The broker's exchanges and queues.")
ledger_schema = Commands("ledger", help="The ledger's schema.")


@topology.command()
@calls(admin.declare_topology)
def declare() -> None:
    """Declare them, for processes whose broker users may not. Again after each new provider and each upgrade."""
    admin.declare_topology(Settings.load())
    note("exchanges and queues are as they should be")


@ledger_schema.command()
@calls(admin.upgrade_ledger)
def upgrade() -> None:
    """Bring the schema to its newest revision. The recorder does the same at its start."""
    admin.upgrade_ledger(Settings.load())
    note("the ledger's schema is up to date")
