"""What is known of each credential's rate limit: one row each, changed by one worker at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy import select, text

from worker.ledger import upserts
from worker.ledger.tables import limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

T = TypeVar("T")

# Of the moment, not of the transaction's start: the row may have been waited for.
_NOW: Final = {
    "sqlite": text("SELECT (julianday('now') - 2440587.5) * 86400.0"),
    "postgresql": text("SELECT extract(epoch FROM clock_timestamp())::float8"),
}


def change(connection: Connection, fingerprint: str, turn: Callable[[str, float], tuple[str, T]]) -> T:
    """What *turn* returns beside the new record, given the old one (or "") and the database's time in seconds."""
    row = select(limits.c.record).where(limits.c.fingerprint == fingerprint).with_for_update()
    kept = connection.execute(row).scalar()
    if kept is None:
        connection.execute(upserts.limit(connection.dialect.name), {"fingerprint": fingerprint, "record": ""})
        kept = connection.execute(row).scalar_one()
    now: float = connection.execute(_NOW[connection.dialect.name]).scalar_one()
    record, result = turn(kept, now)
    connection.execute(limits.update().where(limits.c.fingerprint == fingerprint).values(record=record))
    return result
