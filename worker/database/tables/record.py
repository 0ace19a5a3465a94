"""The ledger's tables. Times are UTC; there is no column for a token, and the documents kept hold sealed ones only."""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, Table, text

from worker.database.columns import UtcTime, Words
from worker.database.tables.base import metadata

# One row: the number of the last change. Taken first in every writing transaction, it also makes writers take turns,
# so numbers become visible in their order (a reader that has seen n never misses one below) and no two deadlock.
clock: Final = Table(
    "clock",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
)

events: Final = Table(
    "events",
    metadata,
    Column("source", Words, primary_key=True),
    Column("event_id", Words, primary_key=True),
    Column("event_type", Words, nullable=False),
    Column("subject", Words, nullable=False),
    Column("occurred_at", UtcTime, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("change", BigInteger, nullable=False),
    Index("events_by_event_id", "event_id"),
    Index("events_by_change", "change"),
    Index("events_by_age", "received_at"),
)

subjects: Final = Table(
    "subjects",
    metadata,
    Column("lookup_hash", Words, primary_key=True),
    Column("source", Words, primary_key=True),
    Column("event_id", Words, primary_key=True),
    Index("subjects_by_event", "event_id", "source"),
)

# Written out in the index and in the question alike: SQLite uses no such index for a value that it learns later
# (https://www.sqlite.org/partialindex.html).
ENABLED_ONLY: Final = text("state = 'enabled'")

calls: Final = Table(
    "calls",
    metadata,
    Column("call_id", Words, primary_key=True),
    Column("source", Words, nullable=False),
    Column("event_id", Words, nullable=False),
    Column("event_type", Words, nullable=False),
    Column("provider", Words, nullable=False),
    Column("operation", Words),
    Column("subject", Words, nullable=False),
    Column("occurred_at", UtcTime, nullable=False),
    Column("state", Words, nullable=False),
    Column("reason", Words),
    Column("detail", Words, nullable=False),  # JSON object
    Column("attempt", BigInteger, nullable=False),
    Column("replays", BigInteger, nullable=False),
    Column("at", UtcTime),  # of the newest record; None while planned
    Column("duration_ms", Float),
    Column("next_attempt_at", UtcTime),
    Column("exposure_seconds", Float),  # event time → the first settled record
    Column("rank", Words, nullable=False),
    Column("change", BigInteger, nullable=False),
    Column("kid", Words),  # of the sealing key that it needs; None: none, or not known yet
    Column("target", Words),  # keyed hash of what it hits; None: not known
    Column("person", Words),  # keyed hash of every name of the person together; None likewise, or no person is named
    Index("calls_by_event", "event_id", "source"),
    Index("calls_by_target", "target"),
    Index("calls_by_person", "person"),
    Index("calls_by_state", "state", "at"),
    Index("calls_by_change", "change"),
    Index("calls_enabled", "state", "change", sqlite_where=ENABLED_ONLY, postgresql_where=ENABLED_ONLY),
)
# What a provider said of tokens, by time. A partial index serves a query that repeats its condition as it is written;
# SQLite makes a table of each IN that it evaluates, twice a row that is recorded.
IS_ANSWER: Final = text("(state = 'accepted' OR state = 'confirmed' OR state = 'already_revoked')")
# What was given up is still exposed, and may be much for long: written out here and in the question, as above. The
# state comes first, or SQLite takes the index of all states and reads each row.
IS_DEAD: Final = text("state = 'dead'")
_EXPOSED: Final = (calls.c.state, calls.c.provider, calls.c.event_type, calls.c.occurred_at)
Index("calls_dead", *_EXPOSED, sqlite_where=IS_DEAD, postgresql_where=IS_DEAD)
Index(
    "calls_by_answer", calls.c.provider, calls.c.state, calls.c.at, sqlite_where=IS_ANSWER, postgresql_where=IS_ANSWER
)

# The attempts at a call that failed. The one that settled it stands in `calls`.
attempts: Final = Table(
    "attempts",
    metadata,
    Column("call_id", Words, primary_key=True),
    Column("replays", BigInteger, primary_key=True),  # the generation
    Column("number", BigInteger, primary_key=True),  # from 1
    Column("at", UtcTime, nullable=False),
    Column("reason", Words),
    Column("detail", Words, nullable=False),  # JSON object
    Column("duration_ms", Float),  # None: not told
)

# The messages that dead letters were made of, each once, however many letters keep it.
bodies: Final = Table(
    "bodies",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # SHA-256 of the document
    Column("document", Words, nullable=False),  # JSON: body, content type, attributes and proofs
)

dead_letters: Final = Table(
    "dead_letters",
    metadata,
    Column("dead_letter_id", Words, primary_key=True),
    Column("kind", Words, nullable=False),
    Column("call_id", Words),
    Column("source", Words),
    Column("event_id", Words),
    Column("event_type", Words),
    Column("provider", Words),
    Column("operation", Words),
    Column("subject", Words),
    Column("occurred_at", UtcTime),
    Column("state", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("first_reason", Words, nullable=False),
    Column("first_at", UtcTime, nullable=False),
    Column("cause", Words, nullable=False),
    Column("detail", Words, nullable=False),  # JSON object
    Column("tries", BigInteger, nullable=False),
    Column("replays", BigInteger, nullable=False),  # the generation that died last
    Column("at", UtcTime, nullable=False),
    Column("claimed_at", UtcTime),
    Column("claimed_by", Words),
    Column("audit_id", Words),  # of the last replay or discard
    Column("document", Words, nullable=False),  # the DeadLetter as JSON: what a replay needs, but for `bodies`
    Column("rank", Words, nullable=False),
    Column("first_rank", Words, nullable=False),
    Column("change", BigInteger, nullable=False),
    Column("target", Words),  # as of a call
    Column("person", Words),
    Column("body", LargeBinary),  # of `bodies`; None: there is none
    Column("is_replayable", Boolean, nullable=False),  # whether it holds a call, or what arrived
    Column("unproved", BigInteger),  # characters kept of an unproved one, which have a budget; None: it is proved
    Index("dead_letters_by_body", "body"),
    Index("dead_letters_unproved", "unproved", "state"),
    Index("dead_letters_by_call", "call_id"),
    Index("dead_letters_by_event", "event_id", "source"),
    Index("dead_letters_by_state", "state", "at", "dead_letter_id"),
    # Everything that is asked of causes, so that no document is read; and what one cause has, in the order of death.
    Index("dead_letters_by_cause", "state", "cause", "at", "dead_letter_id", "first_at", "person", "target"),
    Index("dead_letters_by_change", "change"),
    # Everything that is counted of them, so that no document is read.
    Index("dead_letters_by_provider", "state", "provider", "reason", "at", "cause"),
)
# Few beside those of calls.
NO_CALL: Final = text("kind != 'call'")
Index("dead_letters_of_no_call", dead_letters.c.change, sqlite_where=NO_CALL, postgresql_where=NO_CALL)

holds: Final = Table(
    "holds",
    metadata,
    Column("provider", Words, primary_key=True),
    Column("scope", Words, primary_key=True),
    Column("opened_by", Words, primary_key=True),
    Column("source", Words, primary_key=True),  # of events, whose calls wait; empty: everybody's
    Column("owner", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=False),  # its end; of a breaker's: its next probe
    Column("failed_probes", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),  # counts its changes: the later version is true
)

limits: Final = Table(
    "limits",
    metadata,
    Column("fingerprint", Words, primary_key=True),  # of a credential
    Column("record", Words, nullable=False),  # JSON object: what was used of its rate limit, and by whom it is shared
)

# Digests, of 16 bytes each: however long a producer's ids are, a row stays small and shows nothing.
seen_events: Final = Table(
    "seen_events",
    metadata,
    Column("identity", LargeBinary, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("event_type", Words, nullable=False),
    Column("occurred_at", UtcTime, nullable=False),
    Column("published", Boolean, nullable=False),  # all that becomes of it was confirmed by the broker
    Index("seen_events_by_age", "event_type", "occurred_at"),
)

# Whom the blast-radius guard let through lately: a log that every intake follows by its number. Numbers are given in
# the order of the commits, as writers take turns, and never twice (https://www.sqlite.org/autoinc.html).
passed: Final = Table(
    "passed",
    metadata,
    Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
    Column("source", Words, nullable=False),
    Column("event_type", Words, nullable=False),
    Column("hash", Words, nullable=False),  # keyed, of the subject
    Column("at", Float, nullable=False),  # seconds since 1970 by the database's clock
    sqlite_autoincrement=True,
)

floods: Final = Table(
    "floods",
    metadata,
    Column("source", Words, primary_key=True),  # "": all of them together
    Column("event_type", Words, primary_key=True),
    Column("opened_at", Float, nullable=False),  # seconds, likewise
    Column("reserve_at", Float, nullable=False),
)

key_uses: Final = Table(
    "key_uses",
    metadata,
    Column("kid", Words, primary_key=True),
    Column("last_used", UtcTime, nullable=False),  # when a worker opened something with it, to the minute
)
