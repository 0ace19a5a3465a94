"""The ledger: what became of every event and call, and the dead letters that wait for an operator."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Concatenate, Final, ParamSpec, Self, TypeVar

from sqlalchemy import Connection

from tasks.doubt import TokenAnswer
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
PAGE: Final = 500  # dead letters in memory; of the largest, 45 MB whole

P = ParamSpec("P")
T = TypeVar("T")
Letter = TypeVar("Letter", bound=DeadLetterHead)


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
        self.database.upgrade()

    def record(self, records: Sequence[recording.Record]) -> None:
        """Write *records* in one transaction. Order and repetition do not matter: the rows come out the same."""
        self._write(recording.record, records)

    def audit(self, entry: AuditEntry) -> None:
        """Write *entry*. Written again it takes the new result, and its count is added."""
        self._write(auditing.write, entry)

    def calls_of_event(self, event_id: str, source: str | None = None) -> list[CallRow]:
        """Where every part of an event stands, refused ones included."""
        return self._read(queries.of_event, event_id, source)

    def calls_of_subject(self, *lookup_hashes: str) -> list[CallRow]:
        """Where everything stands that a name finds, by one of its hashes; oldest event first."""
        return self._read(queries.of_subject, lookup_hashes)

    def calls_alike(self, *, target: str | None = None, person: str | None = None) -> list[CallRow]:
        """Where the calls stand that hit *target*, or whose events give *person* exactly these names (keyed hashes)."""
        return self._read(queries.alike, target, person)

    def answers_around(self, provider: str, at: datetime) -> list[TokenAnswer]:
        """How *provider* answered around *at*, as far as it decides whether the provider is in doubt."""
        return self._read(queries.answers_around, provider, at)

    def settled_or_dead(self, source: str, event_ids: Collection[str]) -> set[str]:
        """Those of *event_ids* that are done; the rest is still under way, or lost."""
        return self._read(queries.closed, source, event_ids)

    def changes_since(self, cursor: int = 0, limit: int = 500) -> tuple[list[CallRow | EventRow], int]:
        """At most *limit* events and calls that are new or changed since *cursor*, in order, and the next cursor."""
        return self._read(queries.changes, cursor, limit)

    def key_needs(self, lately: datetime) -> dict[str, keys.KeyNeed]:
        """What still needs each sealing key, by kid; what was replayed since *lately* may be on its way."""
        return self._read(keys.needs, lately)

    def dead_letters(self, where: DeadLetterFilter = EVERYTHING) -> list[DeadLetterRow]:
        """The dead letters that *where* describes, by the time of their last death."""
        return self._read(dead_letters.find, where)

    def dead_letter_heads(self, where: DeadLetterFilter = EVERYTHING) -> list[DeadLetterHead]:
        """As `dead_letters`, of each what a listing shows: what it holds is not read."""
        return self._read(dead_letters.heads, where)

    def dead_letter(self, id_prefix: str) -> DeadLetterRow:
        """The one dead letter whose id starts so. Raises DeadLetterNotFound or DeadLetterAmbiguous."""
        return self._read(dead_letters.get, id_prefix)

    def dead_letter_summary(self, where: DeadLetterFilter = EVERYTHING) -> DeadLetterSummary:
        """How many dead letters *where* describes (its limit left aside), since when, of how many causes."""
        return self._read(dead_letters.summarise, where)

    def claim(
        self, ids: Sequence[str], *, audit: AuditEntry, lease: timedelta = LEASE, also: Sequence[DeadLetterState] = ()
    ) -> list[DeadLetterRow]:
        """Take the dead letters with these whole ids for a replay; those that another replay has are left out.

        A claim older than *lease* is free again; *also* names states that a forced replay opens. *audit* is
        written along; claims in several steps share one entry.
        """
        return self._write(dead_letters.claim, ids, audit, lease, also)

    def mark_replayed(self, generations: Mapping[str, int]) -> None:
        """Note that claimed dead letters were published again: by id, as which generation."""
        self._write(dead_letters.mark_replayed, generations)

    def release_claim(self, dead_letter_id: str) -> None:
        """Give a claim back whose replay was not published."""
        self._write(dead_letters.release, dead_letter_id)

    def discard(
        self, ids: Sequence[str], *, audit: AuditEntry, lease: timedelta = LEASE, also: Sequence[DeadLetterState] = ()
    ) -> AuditEntry:
        """Give the dead letters with these whole ids up; returns the audit entry with their number."""
        return self._write(dead_letters.discard, ids, audit, lease, also)

    def _read(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self.database.reading() as connection:
            return query(connection, *args, **kwargs)

    def _write(self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self.database.writing() as connection:
            return change(connection, *args, **kwargs)


def in_pages(
    find: Callable[[DeadLetterFilter], list[Letter]], where: DeadLetterFilter, size: int = PAGE
) -> Iterator[list[Letter]]:
    """What *find* finds for *where*, at most *size* at a time, in its order and up to its limit.

    Each page is read when it is asked for, behind the last of the one before: what was changed meanwhile is neither
    read twice nor left out.
    """
    left = where.limit
    while left is None or left > 0:
        page = find(replace(where, limit=size if left is None else min(size, left)))
        if not page:
            return
        yield page
        where = replace(where, behind=(page[-1].at, page[-1].dead_letter_id))
        left = None if left is None else left - len(page)
