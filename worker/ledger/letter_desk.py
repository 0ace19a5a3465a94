"""The operators' desk for dead letters, as a part of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from worker.database.engine import Database
from worker.ledger import dead_letters
from worker.ledger.dead_letters import LEASE
from worker.ledger.rows import (
    AuditEntry,
    DeadLetterFilter,
    DeadLetterHead,
    DeadLetterRow,
    DeadLetterState,
    DeadLetterSummary,
    Unproved,
)

EVERYTHING: Final = DeadLetterFilter()


class LetterDesk:
    """One transaction per method, from any thread. Every method raises LedgerUnavailable when the database fails."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def dead_letters(self, where: DeadLetterFilter = EVERYTHING) -> list[DeadLetterRow]:
        """The dead letters that *where* describes."""
        with self.database.reading() as connection:
            return dead_letters.find(connection, where)

    def dead_letter_heads(self, where: DeadLetterFilter = EVERYTHING) -> list[DeadLetterHead]:
        """As `dead_letters`, of each what a listing shows."""
        with self.database.reading() as connection:
            return dead_letters.heads(connection, where)

    def dead_letter(self, id_prefix: str) -> DeadLetterRow:
        """The one dead letter whose id starts so. Raises DeadLetterNotFound or DeadLetterAmbiguous."""
        with self.database.reading() as connection:
            return dead_letters.get(connection, id_prefix)

    def dead_letter_summary(self, where: DeadLetterFilter = EVERYTHING) -> DeadLetterSummary:
        """How many dead letters *where* describes, since when, of how many causes."""
        with self.database.reading() as connection:
            return dead_letters.summarise(connection, where)

    def claim(
        self, ids: Sequence[str], *, audit: AuditEntry, lease: timedelta = LEASE, also: Sequence[DeadLetterState] = ()
    ) -> list[DeadLetterRow]:
        """Take the dead letters with these whole ids for a replay; those somebody else has are left out.

        A claim older than *lease* is free again; *also* names states that a forced replay opens. *audit* is
        written along; claims in several steps share one entry.
        """
        with self.database.writing() as connection:
            return dead_letters.claim(connection, ids, audit, lease, also)

    def mark_replayed(self, dead_letter_id: str, replays: int) -> None:
        """Note that a claimed dead letter was published again as generation *replays*."""
        with self.database.writing() as connection:
            dead_letters.mark_replayed(connection, dead_letter_id, replays)

    def mark_all_replayed(self, replays: Mapping[str, int]) -> None:
        """As `mark_replayed`, for several dead letters (id → generation) in one transaction."""
        with self.database.writing() as connection:
            for dead_letter_id, generation in replays.items():
                dead_letters.mark_replayed(connection, dead_letter_id, generation)

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

    def unproved(self) -> Unproved:
        """How much is on the desk that nobody proved."""
        with self.database.reading() as connection:
            return dead_letters.unproved(connection)
