"""The change clock: every row of the record that is new or changed carries a number, in the order of commits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import update

from worker.database.tables import clock

if TYPE_CHECKING:
    from sqlalchemy import Connection


def take_changes(connection: Connection, count: int) -> int:
    """Return the first of *count* change numbers. Must come first in a writing transaction: here writers take turns."""
    taken = connection.execute(update(clock).values(value=clock.c.value + count).returning(clock.c.value))
    return int(taken.scalar_one()) - count + 1
