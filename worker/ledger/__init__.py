"""The ledger: what became of every event and call, in SQL (SQLite or PostgreSQL), for people to ask."""

from worker.database.errors import LedgerRefused, LedgerUnavailable
from worker.ledger.audit import AuditEntry, Operator
from worker.ledger.dead_letters import DeadLetterAmbiguous, DeadLetterNotFound
from worker.ledger.ledger import Ledger
from worker.ledger.rows import (
    CallRow,
    DeadLetterFilter,
    DeadLetterHead,
    DeadLetterRow,
    DeadLetterState,
    DeadLetterSummary,
    EventRow,
)

__all__ = [
    "AuditEntry",
    "CallRow",
    "DeadLetterAmbiguous",
    "DeadLetterFilter",
    "DeadLetterHead",
    "DeadLetterNotFound",
    "DeadLetterRow",
    "DeadLetterState",
    "DeadLetterSummary",
    "EventRow",
    "Ledger",
    "LedgerRefused",
    "LedgerUnavailable",
    "Operator",
]
