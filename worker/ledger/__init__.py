"""The ledger: what became of every event and call, in SQL (SQLite or PostgreSQL), for people to ask."""

from worker.database.errors import LedgerRefused as LedgerRefused
from worker.database.errors import LedgerUnavailable as LedgerUnavailable
from worker.ledger.audit import AuditEntry as AuditEntry
from worker.ledger.audit import Operator as Operator
from worker.ledger.dead_letters import DeadLetterAmbiguous as DeadLetterAmbiguous
from worker.ledger.dead_letters import DeadLetterNotFound as DeadLetterNotFound
from worker.ledger.ledger import Ledger as Ledger
from worker.ledger.rows import CallRow as CallRow
from worker.ledger.rows import DeadLetterFilter as DeadLetterFilter
from worker.ledger.rows import DeadLetterHead as DeadLetterHead
from worker.ledger.rows import DeadLetterRow as DeadLetterRow
from worker.ledger.rows import DeadLetterState as DeadLetterState
from worker.ledger.rows import DeadLetterSummary as DeadLetterSummary
from worker.ledger.rows import EventRow as EventRow
