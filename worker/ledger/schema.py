"""The ledger's schema, as a process that writes into it needs it: brought up to date, or left to a newer release."""

import logging

from worker.database.errors import LedgerIsNewer
from worker.ledger.ledger import Ledger
from worker.observability.health import MIGRATION_TIME, OF_PROCESS

logger = logging.getLogger(__name__)


class Schema:
    """The schema of *ledger*. One of a newer release stays as it is: migrations add, so it has what this one writes."""

    def __init__(self, ledger: Ledger) -> None:
        self.is_ready = False
        self._ledger = ledger
        self._is_told = False  # that it is newer

    def ensure(self) -> None:
        """Bring it up to date, unless it is. Raises LedgerUnavailable."""
        if self.is_ready:
            return
        OF_PROCESS.beat(MIGRATION_TIME)
        try:
            self._ledger.upgrade()
        except LedgerIsNewer as newer:
            self._tell(newer)
        self.is_ready = True

    def _tell(self, newer: LedgerIsNewer) -> None:
        if not self._is_told:
            logger.warning("ledger.newer", extra={"error": str(newer)})
        self._is_told = True
