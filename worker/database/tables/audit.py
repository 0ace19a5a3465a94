"""The tables of the audit."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Table

from worker.database.columns import UtcTime, Words
from worker.database.tables.base import metadata

# What release 0.1.0 wrote, until the chain takes it over; nothing else is written here any more.
audits: Final = Table(
    "audits",
    metadata,
    Column("audit_id", Words, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("actor", Words, nullable=False),
    Column("action", Words, nullable=False),
    Column("scope", Words, nullable=False),  # the filter or the ids, as the operator gave them
    Column("reason", Words, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("result", Words, nullable=False),
    Index("audits_by_time", "at"),
)

# The audit: a chain that only grows, in which each entry answers for the one before it. Its MACs cover every value as
# it is read, so there are whole numbers and text alone, which both databases give back as they were written.
audit_entries: Final = Table(
    "audit_entries",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # from 1, without a gap
    Column("before", Words, nullable=False),  # the MAC of the entry before; empty: there is none
    Column("kind", Words, nullable=False),
    Column("audit_id", Words, nullable=False),  # of the change, which may have several entries
    Column("step", BigInteger, nullable=False),  # of the change: 0 says what was wanted, the others what came of it
    Column("at", BigInteger, nullable=False),  # microseconds since 1970
    Column("actor", Words, nullable=False),
    Column("action", Words, nullable=False),
    Column("scope", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("plan", Words, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("result", Words, nullable=False),
    Column("mac", Words, nullable=False),
    Index("audit_entries_by_change", "audit_id", "step"),
    Index("audit_entries_by_step", "step", "number"),
)

# One row: where the chain begins and ends, so that an end that was cut off is missed.
audit_ends: Final = Table(
    "audit_ends",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("forgotten", BigInteger, nullable=False),  # number of the newest entry that was forgotten by its age
    Column("last", BigInteger, nullable=False),  # number of the newest entry
    Column("last_mac", Words, nullable=False),
    Column("seal", Words, nullable=False),  # MAC of the three
)
