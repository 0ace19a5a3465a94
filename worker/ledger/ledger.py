"""The ledger: what became of every event and call, and the operators' desk for dead letters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Self, TypeVar

from tasks.doubt import Answer
from worker.holds.hold import Hold
from worker.ledger import (
    answers,
    auditing,
    floods,
    holds,
    keys,
    limits,
    migrating,
    queries,
    retention,
    seen,
    writing,
)
from worker.ledger.engine import open_database
from worker.ledger.letter_desk import LetterDesk
from worker.ledger.rows import (
    AuditEntry,
    CallRow,
    EventRow,
    FloodRow,
    Totals,
)

T = TypeVar("T")


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
        self._database.engine.dispose()

    def upgrade(self) -> None:
        """Bring the schema to its newest revision; several processes may do so at once.

        A missing SQLite file is made, but not in place of one that this process has used.
        """
        self._database.create()
        with self._database.writing() as connection:
            migrating.upgrade(connection)

    def record(self, records: Sequence[writing.Record]) -> None:
        """Write *records* in one transaction. Order and repetition do not matter: the rows come out the same."""
        with self._database.writing() as connection:
            writing.record(connection, records)

    def audit(self, entry: AuditEntry) -> str:
        """The id of *entry*, now written. Written again it takes the new result, and its count is added."""
        with self._database.writing() as connection:
            return auditing.write(connection, entry)

    def audits(self, limit: int = 100) -> list[AuditEntry]:
        """The last audit entries, newest first."""
        with self._database.reading() as connection:
            return auditing.latest(connection, limit)

    def calls_of_event(self, event_id: str, source: str | None = None) -> list[CallRow]:
        """Where every part of an event stands, refused ones included."""
        with self._database.reading() as connection:
            return queries.of_event(connection, event_id, source)

    def calls_of_subject(self, *lookup_hashes: str) -> list[CallRow]:
        """Where everything stands that a name finds, by one of its hashes; oldest event first."""
        with self._database.reading() as connection:
            return queries.of_subject(connection, lookup_hashes)

    def answers_around(self, provider: str, at: datetime) -> list[Answer]:
        """What *provider* said of tokens around *at*: what is needed to tell whether it is in doubt."""
        with self._database.reading() as connection:
            return answers.around(connection, provider, at)

    def calls_alike(self, *, target: str | None = None, person: str | None = None) -> list[CallRow]:
        """Where the calls stand that hit *target*, or whose events give *person* exactly these names (keyed hashes)."""
        with self._database.reading() as connection:
            return queries.alike(connection, target, person)

    def totals(self) -> Totals:
        """The ledger in figures."""
        with self._database.reading() as connection:
            return queries.totals(connection)

    def forget(self, horizons: retention.Horizons) -> int:
        """Remove some of what is over since before *horizons*; how many rows that were, 0 where none is left."""
        with self._database.writing() as connection:
            return retention.forget(connection, horizons)

    def settled_or_dead(self, source: str, event_ids: Collection[str]) -> set[str]:
        """Those of *event_ids* that are done; the rest is still under way, or lost."""
        with self._database.reading() as connection:
            return queries.closed(connection, source, event_ids)

    def unsettled(self, limit: int | None = None) -> list[CallRow]:
        """The calls that are neither settled nor dead, oldest event first."""
        with self._database.reading() as connection:
            return queries.unsettled(connection, limit)

    def changes_since(self, cursor: int = 0, limit: int = 500) -> tuple[list[CallRow | EventRow], int]:
        """At most *limit* events and calls that are new or changed since *cursor*, in order, and the next cursor."""
        with self._database.reading() as connection:
            return queries.changes(connection, cursor, limit)

    def standing_holds(self) -> list[Hold]:
        """Every hold, those included that are over and not yet cleared away."""
        with self._database.reading() as connection:
            return holds.standing(connection)

    def exchange_holds(self, changes: Sequence[holds.Change]) -> holds.Effect:
        """Write what a worker changed, if anything; then what stands."""
        with self._database.writing() if changes else self._database.reading() as connection:
            return holds.exchange(connection, changes)

    def claim_hold(self, hold: Hold) -> bool:
        """Write *hold* where it is the version next to the one that stands; whether it was."""
        with self._database.writing() as connection:
            return holds.claim(connection, hold)

    def place_hold(self, hold: Hold, audit: AuditEntry) -> Hold:
        """Have an operator's *hold* stand, in place of the one before; returns it as it stands."""
        with self._database.writing() as connection:
            return holds.place(connection, hold, audit)

    def release_holds(self, provider: str, audit: AuditEntry) -> list[Hold]:
        """End what holds *provider*, a breaker's hold by a probe; returns what stood."""
        with self._database.writing() as connection:
            return holds.release(connection, provider, audit)

    def change_limit(self, fingerprint: str, turn: Callable[[str, float], tuple[str, T]]) -> T:
        """Have *turn* make a credential's new record of the old one ("" at first) and the database's time (seconds).

        Returns what it returns beside; nobody else changes the record meanwhile.
        """
        with self._database.writing() as connection:
            return limits.change(connection, fingerprint, turn)

    def youngest_seen(self) -> dict[str, datetime]:
        """Event type → when the youngest event that was taken in happened."""
        with self._database.reading() as connection:
            return seen.youngest(connection)

    def claim_seen(self, sightings: Sequence[seen.Sighting], others: Collection[bytes] = ()) -> dict[bytes, seen.Known]:
        """Remember those of *sightings* that are new, as not published; identity → what stands for it, of *others* too.

        An identity of *others* that is not known stays so, and is left out.
        """
        with self._database.writing() as connection:
            return seen.claim(connection, sightings, others)

    def mark_seen_published(self, identities: Collection[bytes], horizons: Mapping[str, datetime]) -> None:
        """Note that all of these events was confirmed; forget, some at a time, what lies behind its type's horizon."""
        with self._database.writing() as connection:
            seen.mark_published(connection, identities)
            seen.forget(connection, horizons)

    def share_passed(self, seen: int, turn: floods.Turn[T]) -> T:
        """Have *turn* learn whom the other intakes let through after number *seen*, and tell whom this one does.

        Returns what it returns beside; no other intake takes its turn meanwhile.
        """
        with self._database.writing() as connection:
            return floods.share(connection, seen, turn)

    def floods(self) -> list[FloodRow]:
        """What is held back, or would be, by source and type."""
        with self._database.reading() as connection:
            return floods.standing(connection)

    def end_floods(self, keys: Collection[tuple[str, str]]) -> None:
        """Hold no more back of these sources and types; what is held stays."""
        with self._database.writing() as connection:
            floods.end(connection, keys)

    def note_key_uses(self, uses: Mapping[str, datetime]) -> None:
        """Note when sealing keys were last used, by kid."""
        with self._database.writing() as connection:
            keys.note_uses(connection, uses)

    def key_needs(self, lately: datetime) -> dict[str, keys.KeyNeed]:
        """What still needs each sealing key, by kid; what was replayed since *lately* may be on its way."""
        with self._database.reading() as connection:
            return keys.needs(connection, lately)
