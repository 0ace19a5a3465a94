"""The ledger: what became of every event and call, and the operators' desk for dead letters."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Self

from tasks.doubt import Answer
from worker.database import migrate
from worker.database.engine import open_database
from worker.ledger import answers, keys, queries, recording, retention
from worker.ledger import audit as auditing
from worker.ledger.letter_desk import LetterDesk
from worker.ledger.rows import (
    AuditEntry,
    CallRow,
    EventRow,
    Totals,
)


class Ledger(LetterDesk):
    """One transaction per method, from any thread. Every method raises LedgerUnavailable when the database fails."""

    @classmethod
    def open(cls, url: str, lock_seconds: float | None = None, *, durable: bool = True) -> Self:
        """The ledger at `sqlite:////path/file` (mode 0600; `upgrade` makes it) or `postgresql+psycopg://…`.

        It is reached at the first use; others' transactions are waited for *lock_seconds*, 10 by default. A power cut
        may take back the last moments of what is not *durable*. Raises LedgerUnavailable for other URLs.
        """
        return cls(open_database(url, lock_seconds, durable=durable))

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

    def audit(self, entry: AuditEntry) -> str:
        """The id of *entry*, now written. Written again it takes the new result, and its count is added."""
        with self.database.writing() as connection:
            return auditing.write(connection, entry)

    def audits(self, limit: int = 100) -> list[AuditEntry]:
        """The last audit entries, newest first."""
        with self.database.reading() as connection:
            return auditing.latest(connection, limit)

    def calls_of_event(self, event_id: str, source: str | None = None) -> list[CallRow]:
        """Where every part of an event stands, refused ones included."""
        with self.database.reading() as connection:
            return queries.of_event(connection, event_id, source)

    def calls_of_subject(self, *lookup_hashes: str) -> list[CallRow]:
        """Where everything stands that a name finds, by one of its hashes; oldest event first."""
        with self.database.reading() as connection:
            return queries.of_subject(connection, lookup_hashes)

    def answers_around(self, provider: str, at: datetime) -> list[Answer]:
        """What *provider* said of tokens around *at*: what is needed to tell whether it is in doubt."""
        with self.database.reading() as connection:
            return answers.around(connection, provider, at)

    def calls_alike(self, *, target: str | None = None, person: str | None = None) -> list[CallRow]:
        """Where the calls stand that hit *target*, or whose events give *person* exactly these names (keyed hashes)."""
        with self.database.reading() as connection:
            return queries.alike(connection, target, person)

    def totals(self) -> Totals:
        """The ledger in figures."""
        with self.database.reading() as connection:
            return queries.totals(connection)

    def forget(self, horizons: retention.Horizons) -> int:
        """Remove some of what is over since before *horizons*; how many rows that were, 0 where none is left."""
        with self.database.writing() as connection:
            return retention.forget(connection, horizons)

    def settled_or_dead(self, source: str, event_ids: Collection[str]) -> set[str]:
        """Those of *event_ids* that are done; the rest is still under way, or lost."""
        with self.database.reading() as connection:
            return queries.closed(connection, source, event_ids)

    def unsettled(self, limit: int | None = None) -> list[CallRow]:
        """The calls that are neither settled nor dead, oldest event first."""
        with self.database.reading() as connection:
            return queries.unsettled(connection, limit)

    def changes_since(self, cursor: int = 0, limit: int = 500) -> tuple[list[CallRow | EventRow], int]:
        """At most *limit* events and calls that are new or changed since *cursor*, in order, and the next cursor."""
        with self.database.reading() as connection:
            return queries.changes(connection, cursor, limit)

    def key_needs(self, lately: datetime) -> dict[str, keys.KeyNeed]:
        """What still needs each sealing key, by kid; what was replayed since *lately* may be on its way."""
        with self.database.reading() as connection:
            return keys.needs(connection, lately)
