"""The ledger in force, opened, and made ready before any process runs."""

from contextlib import AbstractContextManager, closing

from worker.ledger import Ledger
from worker.settings import Settings


def open_ledger(settings: Settings) -> AbstractContextManager[Ledger]:
    """Open the ledger in force. Raises LedgerUnavailable."""
    return closing(Ledger.open(settings.ledger_url.get_secret_value(), audit_secret=settings.audit_secret()))


def upgrade_ledger(settings: Settings) -> None:
    """Bring the ledger's schema to its newest revision. Raises LedgerUnavailable, LedgerIsNewer."""
    with open_ledger(settings) as ledger:
        ledger.upgrade()
