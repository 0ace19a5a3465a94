"""The tables of the doors."""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table

from worker.database.columns import UtcTime, Words
from worker.database.tables.base import metadata

# Events that came in by a door while the broker was away, or together with a change of what the door keeps. A row goes
# once the broker has confirmed its event.
outbox: Final = Table(
    "outbox",
    metadata,
    Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
    Column("door", Words, nullable=False),
    Column("digest", LargeBinary, nullable=False),  # keyed, of door and event: the same event waits once
    Column("event_type", Words, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # the event, encrypted
    Column("at", UtcTime, nullable=False),  # when it came
    Index("outbox_by_digest", "digest", unique=True),
    sqlite_autoincrement=True,
)

# What a door process tells of its doors, for whoever asks from elsewhere.
door_news: Final = Table(
    "door_news",
    metadata,
    Column("door", Words, primary_key=True),
    Column("event_at", UtcTime),  # when the last event came in
    Column("keys_at", UtcTime),  # when the issuer's keys were last read
)

# People as a directory calls them, of a door that keeps accounts: names encrypted, and found by keyed digests.
door_accounts: Final = Table(
    "door_accounts",
    metadata,
    Column("door", Words, primary_key=True),
    Column("account_id", Words, primary_key=True),
    Column("name", LargeBinary, nullable=False),  # digest of the user name, in small letters
    Column("known_as", LargeBinary),  # digest of the directory's own id
    Column("sealed", LargeBinary, nullable=False),  # both of them
    Column("active", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("changed", UtcTime, nullable=False),
    Index("door_accounts_by_name", "door", "name", unique=True),
    Index("door_accounts_by_known_as", "door", "known_as"),
    Index("door_accounts_by_age", "door", "created", "account_id"),
)

# Where each look at a door's source begins, and whose turn it is to look. Times are of the database's clock.
door_cursors: Final = Table(
    "door_cursors",
    metadata,
    Column("door", Words, primary_key=True),
    Column("sealed", LargeBinary),  # the cursor, encrypted; None: nobody ever looked
    Column("holder", Words),  # of the lease: the process that looks
    Column("held_until", UtcTime),
    Column("due_at", UtcTime),  # when the next look is
    Column("looked_at", UtcTime),  # when the last look came through
    Column("fault", Words),  # why the last look did not
    Column("failed_since", UtcTime),
    Column("missed", BigInteger, nullable=False),  # events that looks found and the push had missed
    Column("missed_at", UtcTime),
    Column("wanted_at", UtcTime),  # when a push asked for a look, which has not begun since
)

directory_people: Final = Table(
    "directory_people",
    metadata,
    Column("door", Words, primary_key=True),
    Column("person", LargeBinary, primary_key=True),  # digest of the directory's id
    Column("sealed", LargeBinary, nullable=False),  # that id, and the names; of somebody gone the id alone
    Column("active", Boolean, nullable=False),
    Column("gone", Boolean, nullable=False),
    Column("marker", Words, nullable=False),  # of the last change
    Column("ordinal", BigInteger, nullable=False),  # of their transitions under that marker
)

directories: Final = Table(
    "directories",
    metadata,
    Column("door", Words, primary_key=True),
    Column("cursor", LargeBinary),  # encrypted: where the next changes begin
    Column("read_at", UtcTime),
    Column("held_at", UtcTime),  # since when it waits for an operator
    Column("held_why", Words),
    Column("held_people", LargeBinary),  # digests of whom it would disable, enable or delete, one after the other
    Column("released_at", UtcTime),
)

# Signals of a stream of ours, each until its receiver has polled it.
door_signals: Final = Table(
    "door_signals",
    metadata,
    Column("number", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
    Column("door", Words, nullable=False),
    Column("jti", Words, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # the token, encrypted
    Column("at", UtcTime, nullable=False),  # when it came
    Index("door_signals_by_jti", "door", "jti", unique=True),
    Index("door_signals_in_order", "door", "number"),
    sqlite_autoincrement=True,
)
