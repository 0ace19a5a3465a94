"""The ledger: what became of every event and call, and the dead letters that wait for an operator."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Self

from tasks.doubt import TokenAnswer
from worker.database import migrate
from worker.database.engine import Database, open_database
from worker.ledger import audit as auditing
from worker.ledger import dead_letters, keys, queries, recording
from worker.ledger.dead_letters import LEASE
from worker.ledger.rows import (
    AuditEntry,
    CallRow,
    DeadLetterFilter,
    DeadLetterHead,
    DeadLetterRow,
    DeadLetterState,
    DeadLetterSummary,
    EventRow,
)

EVERYTHING: Final = DeadLetterFilter()


class Ledger:
    """One transaction per method, from any thread. Every method raises LedgerUnavailable when the database fails."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    def open(cls, url: str, lock_timeout: float | None = None, *, durable: bool = True) -> Self:
        """The ledger at `sqlite:////path/file` (mode 0600; `upgrade` makes it) or `postgresql+psycopg://…`.

        It is reached at the first use; a lock is waited for *lock_timeout* seconds, 10 by default. A power cut
        may take back the last moments of what is not *durable*. Raises LedgerUnavailable for other URLs.
        """
        return cls(open_database(url, lock_timeout, durable=durable))

    def close(self) -> None:
        """Give the connections back."""
        self.database.engine.dispose()

    def upgrade(self) -> None:
        """Bring the schema to its newest revision; several processes may do so at once.

        A missing SQLite file is made, but not in place of one that this process has used.
        """
        self.database.create()
        with self.database.writing() as connection:
            migrate.upgrade(connection)

    def record(self, records: Sequence[recording.Record]) -> None:
        """Write *records* in one transaction. Order and repetition do not matter: the rows come out the same."""
        with self.database.writing() as connection:
            recording.record(connection, records)

    def audit(self, entry: AuditEntry) -> None:
        """Write *entry*. Written again it takes the new result, and its count is added."""
        with self.database.writing() as connection:
            auditing.write(connection, entry)

    def calls_of_event(self, event_id: str, source: str | None = None) -> list[CallRow]:
        """Where every part of an event stands, refused ones included."""
        with self.database.reading() as connection:
            return queries.of_event(connection, event_id, source)

    def calls_of_subject(self, *lookup_hashes: str) -> list[CallRow]:
        """Where everything stands that a name finds, by one of its hashes; oldest event first."""
        with self.database.reading() as connection:
            return queries.of_subject(connection, lookup_hashes)

    def calls_alike(self, *, target: str | None = None, person: str | None = None) -> list[CallRow]:
        """Where the calls stand that hit *target*, or whose events give *person* exactly these names (keyed hashes)."""
        with self.database.reading() as connection:
            return queries.alike(connection, target, person)

    def answers_around(self, provider: str, at: datetime) -> list[TokenAnswer]:
        """How *provider* answered around *at*, as far as it decides whether the provider is in doubt."""
        with self.database.reading() as connection:
            return queries.answers_around(connection, provider, at)

    def settled_or_dead(self, source: str, event_ids: Collection[str]) -> set[str]:
        """Those of *event_ids* that are done; the rest is still under way, or lost."""
        with self.database.reading() as connection:
            return queries.closed(connection, source, event_ids)

    def changes_since(self, cursor: int = 0, limit: int = 500) -> tuple[list[CallRow | EventRow], int]:
        """At most *limit* events and calls that are new or changed since *cursor*, in order, and the next cursor."""
        with self.database.reading() as connection:
            return queries.changes(connection, cursor, limit)

    def key_needs(self, lately: datetime) -> dict[str, keys.KeyNeed]:
        """What still needs each sealing key, by kid; what was replayed since *lately* may be on its way."""
        with self.database.reading() as connection:
            return keys.needs(connection, lately)

    def dead_letters(self, where: DeadLetterFilter = EVERYTHING) -> list[DeadLetterRow]:
        """The dead letters that *where* describes, by the time of their last death."""
        with self.database.reading() as connection:
            return dead_letters.find(connection, where)

    def dead_letter_heads(self, where: DeadLetterFilter = EVERYTHING) -> list[DeadLetterHead]:
        """As `dead_letters`, of each what a listing shows: what it holds is not read."""
        with self.database.reading() as connection:
            return dead_letters.heads(connection, where)

    def dead_letter(self, id_prefix: str) -> DeadLetterRow:
        """The one dead letter whose id starts so. Raises DeadLetterNotFound or DeadLetterAmbiguous."""
        with self.database.reading() as connection:
            return dead_letters.get(connection, id_prefix)

    def dead_letter_summary(self, where: DeadLetterFilter = EVERYTHING) -> DeadLetterSummary:
        """How many dead letters *where* describes (its limit left aside), since when, of how many causes."""
        with self.database.reading() as connection:
            return dead_letters.summarise(connection, where)

    def claim(
        self, ids: Sequence[str], *, audit: AuditEntry, lease: timedelta = LEASE, also: Sequence[DeadLetterState] = ()
    ) -> list[DeadLetterRow]:
        """Take the dead letters with these whole ids for a replay; those that another replay has are left out.

        A claim older than *lease* is free again; *also* names states that a forced replay opens. *audit* is
        written along; claims in several steps share one entry.
        """
        with self.database.writing() as connection:
            return dead_letters.claim(connection, ids, audit, lease, also)

    def mark_replayed(self, generations: Mapping[str, int]) -> None:
        """Note that claimed dead letters were published again: by id, as which generation."""
        with self.database.writing() as connection:
            dead_letters.mark_replayed(connection, generations)

    def release_claim(self, dead_letter_id: str) -> None:
        """Give a claim back whose replay was not published."""
        with self.database.writing() as connection:
            dead_letters.release(connection, dead_letter_id)

    def discard(
        self, ids: Sequence[str], *, audit: AuditEntry, lease: timedelta = LEASE, also: Sequence[DeadLetterState] = ()
    ) -> AuditEntry:
        """Give the dead letters with these whole ids up; returns the audit entry with their number."""
        with self.database.writing() as connection:
            return dead_letters.discard(connection, ids, audit, lease, also)
