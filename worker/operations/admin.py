"""What an installation needs before its processes run, for those whose users may not make it themselves."""

from __future__ import annotations

from worker.operations.opening import open_ledger, open_publisher
from worker.settings import Settings


def declare_topology(settings: Settings) -> None:
    """Declare the broker's exchanges and queues. Raises PublishError."""
    with open_publisher(settings):
        pass


def upgrade_ledger(settings: Settings) -> None:
    """Bring the ledger's schema to its newest revision. Raises LedgerUnavailable."""
    with open_ledger(settings) as ledger:
        ledger.upgrade()
