"""The ledger: what became of every event and call, in SQL (SQLite or PostgreSQL), for people to ask."""

from worker.database.errors import LedgerRefused as LedgerRefused
from worker.database.errors import LedgerUnavailable as LedgerUnavailable
from worker.ledger.audit import AuditEntry as AuditEntry
from worker.ledger.audit import Operator as Operator
from worker.ledger.causes import CauseRow as CauseRow
from worker.ledger.dead_letters import DeadLetterAmbiguous as DeadLetterAmbiguous
from worker.ledger.dead_letters import DeadLetterNotFound as DeadLetterNotFound
from worker.ledger.job_rows import LEFT as LEFT
from worker.ledger.job_rows import OUT as OUT
from worker.ledger.job_rows import Fate as Fate
from worker.ledger.job_rows import Job as Job
from worker.ledger.job_rows import JobGroup as JobGroup
from worker.ledger.job_rows import JobLetter as JobLetter
from worker.ledger.job_rows import JobState as JobState
from worker.ledger.job_rows import Pace as Pace
from worker.ledger.jobs import JobAmbiguous as JobAmbiguous
from worker.ledger.jobs import JobNotFound as JobNotFound
from worker.ledger.ledger import Ledger as Ledger
from worker.ledger.rows import AttemptRow as AttemptRow
from worker.ledger.rows import CallRow as CallRow
from worker.ledger.rows import DeadLetterFilter as DeadLetterFilter
from worker.ledger.rows import DeadLetterHead as DeadLetterHead
from worker.ledger.rows import DeadLetterRow as DeadLetterRow
from worker.ledger.rows import DeadLetterState as DeadLetterState
from worker.ledger.rows import DeadLetterSummary as DeadLetterSummary
from worker.ledger.rows import EventRow as EventRow
