"""INSERT … ON CONFLICT as each of the two databases writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Table

Insert = postgresql.Insert | sqlite.Insert
_INSERT: Final[dict[str, Callable[[Table], Insert]]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def insert_into(table: Table, dialect: str) -> Insert:
    """Return an INSERT into *table* in *dialect*, which takes an ON CONFLICT clause."""
    return _INSERT[dialect](table)
