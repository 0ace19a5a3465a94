"""What writers share on both databases: INSERT … ON CONFLICT, and the numbers of changes."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Table, bindparam, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

from worker.database.tables import clock

Insert = postgresql.Insert | sqlite.Insert
_TAKE: Final = update(clock).values(value=clock.c.value + bindparam("count")).returning(clock.c.value)
_INSERT: Final[dict[str, Callable[[Table], Insert]]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def insert_into(table: Table, dialect: str) -> Insert:
    """Return an INSERT into *table* in *dialect*, which takes an ON CONFLICT clause."""
    return _INSERT[dialect](table)


def insert_all(connection: Connection, statement: Insert, rows: Sequence[Mapping[str, Any]]) -> None:
    """Execute *statement* once for each of *rows*, all of which have the same names.

    The driver gets it as SQLAlchemy compiled it the first time: its own way to there takes a sixth of a batch's time.
    """
    text, is_positional, parameters = _prepared(statement, connection.dialect, tuple(rows[0]))
    values = (
        [bind(value) if bind else value for name, constant, bind in parameters for value in (row.get(name, constant),)]
        for row in rows
    )
    if is_positional:
        connection.exec_driver_sql(text, [*map(tuple, values)])
    else:
        names = [name for name, _, _ in parameters]
        connection.exec_driver_sql(text, [dict(zip(names, each, strict=True)) for each in values])


@lru_cache(maxsize=32)
def _prepared(
    statement: Insert, dialect: Dialect, columns: tuple[str, ...]
) -> tuple[str, bool, list[tuple[str, object, Callable[[Any], Any] | None]]]:
    """The text in *dialect*, whether it counts its parameters, and of each: name, constant, and how it is bound."""
    compiled = statement.compile(dialect=dialect, column_keys=columns)
    names = compiled.positiontup if compiled.positiontup is not None else compiled.params
    kinds = {name: compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names}
    return str(compiled), compiled.positional, [(name, compiled.params[name], kinds[name]) for name in names]


def take_changes(connection: Connection, count: int) -> int:
    """Return the first of *count* change numbers: every new or changed row carries one, in the order of commits.

    Must come first in a writing transaction: here writers take turns.
    """
    return int(connection.execute(_TAKE, {"count": count}).scalar_one()) - count + 1
