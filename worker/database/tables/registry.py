"""The tables of the session registry. What opens a session stands in none but encrypted; people are keyed hashes."""

from typing import Final

from sqlalchemy import Column, Index, LargeBinary, Table, text

from worker.database.columns import UtcTime, Words
from worker.database.tables.base import metadata

registry_sessions: Final = Table(
    "registry_sessions",
    metadata,
    Column("session", Words, primary_key=True),  # keyed hash of its provider and its credential: the `target` of calls
    Column("provider", Words, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # the session as the event has it, encrypted
    Column("kid", Words),  # of the sealing key that its call needs
    Column("session_id", Words),  # keyed hash of its id and whose id that is
    Column("started_at", UtcTime, nullable=False),
    Column("kept_until", UtcTime, nullable=False),
    Column("ending_at", UtcTime),  # when its revocation was planned last
    Index("registry_sessions_by_id", "session_id"),
    Index("registry_sessions_by_age", "kept_until"),
    Index("registry_sessions_by_provider", "provider"),  # to be counted without a look at the rows
)
IS_ENDING: Final = text("ending_at IS NOT NULL")  # written out in the index and in the question alike
Index(
    "registry_sessions_ending",
    registry_sessions.c.ending_at,
    registry_sessions.c.session,
    sqlite_where=IS_ENDING,
    postgresql_where=IS_ENDING,
)

# Whose session it is: by each name of the person.
registry_names: Final = Table(
    "registry_names",
    metadata,
    Column("name", Words, primary_key=True),  # keyed hash of the name with its kind and issuer
    Column("session", Words, primary_key=True),
    Column("lookup", Words, nullable=False),  # keyed hash by which operators find the name
    Index("registry_names_by_session", "session"),
    Index("registry_names_by_lookup", "lookup"),
)

# What was ended, for sessions whose start is told later.
registry_ends: Final = Table(
    "registry_ends",
    metadata,
    Column("name", Words, primary_key=True),  # of a person or of a session's id, hashed as above
    Column("source", Words, primary_key=True),
    Column("ended_at", UtcTime),  # all sessions that are older; None: the source has enabled the person only
    Column("enabled_at", UtcTime),
    Column("kept_until", UtcTime, nullable=False),
    Index("registry_ends_by_age", "kept_until"),
)
