"""What writers share on both databases: INSERT … ON CONFLICT, and the numbers of changes."""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, Table, update
from sqlalchemy.dialects import postgresql, sqlite

from worker.database.tables import clock

Insert = postgresql.Insert | sqlite.Insert
_INSERT: Final[dict[str, Callable[[Table], Insert]]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def insert_into(table: Table, dialect: str) -> Insert:
    """Return an INSERT into *table* in *dialect*, which takes an ON CONFLICT clause."""
    return _INSERT[dialect](table)


def take_changes(connection: Connection, count: int) -> int:
    """Return the first of *count* change numbers: every new or changed row carries one, in the order of commits.

    Must come first in a writing transaction: here writers take turns.
    """
    taken = connection.execute(update(clock).values(value=clock.c.value + count).returning(clock.c.value))
    return int(taken.scalar_one()) - count + 1
