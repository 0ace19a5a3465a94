"""The ledger's tables, all of them in one `metadata`. Times are UTC; no column is for a token."""

from worker.database.tables.audit import audit_ends as audit_ends
from worker.database.tables.audit import audit_entries as audit_entries
from worker.database.tables.audit import audits as audits
from worker.database.tables.base import metadata as metadata
from worker.database.tables.doors import door_accounts as door_accounts
from worker.database.tables.doors import door_news as door_news
from worker.database.tables.doors import outbox as outbox
from worker.database.tables.exposures import exposures as exposures
from worker.database.tables.record import ENABLED_ONLY as ENABLED_ONLY
from worker.database.tables.record import IS_ANSWER as IS_ANSWER
from worker.database.tables.record import attempts as attempts
from worker.database.tables.record import bodies as bodies
from worker.database.tables.record import calls as calls
from worker.database.tables.record import clock as clock
from worker.database.tables.record import dead_letters as dead_letters
from worker.database.tables.record import events as events
from worker.database.tables.record import floods as floods
from worker.database.tables.record import holds as holds
from worker.database.tables.record import key_uses as key_uses
from worker.database.tables.record import limits as limits
from worker.database.tables.record import passed as passed
from worker.database.tables.record import seen_events as seen_events
from worker.database.tables.record import subjects as subjects
from worker.database.tables.replays import job_letters as job_letters
from worker.database.tables.replays import jobs as jobs
from worker.database.tables.sign_in import console_sessions as console_sessions
