"""How a database finds what it is asked: the statements of a question, their plans, and where a whole table is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Engine, event

from worker.database.engine import Database
from worker.database.tables import metadata

_EXPLAIN: Final = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN "}
# An index of few rows, which is made to be read as a whole.
_PARTIAL: Final = "|".join(
    str(index.name)
    for table in metadata.sorted_tables
    for index in table.indexes
    if index.dialect_options["sqlite"]["where"] is not None
)
# SQLite's SCAN reads all of what it names, by an index or without (https://www.sqlite.org/eqp.html). PostgreSQL's scan
# of an index reads all of it where no condition stands below.
_WHOLE: Final = {
    "sqlite": re.compile(rf"\bSCAN (\w+)(?! USING (?:COVERING )?INDEX (?:{_PARTIAL})\b)\b"),
    "postgresql": re.compile(
        rf"\bSeq Scan on (\w+)|\bIndex (?:Only )?Scan using (?!(?:{_PARTIAL})\b)\w+ on (\w+)"
        r"[^\n]*(?:\n(?!\s*Index Cond)|$)"
    ),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement, and how the database goes about it."""

    statement: str
    lines: list[str] = field(default_factory=list)


def plans_of(database: Database, ask: Callable[[], object], *, indexes_only: bool = False) -> list[Plan]:
    """The plans of all that *ask* asks *database*, each statement once.

    *indexes_only* has PostgreSQL use an index wherever there is one that serves: in a small table it does not.
    """
    with _heard(database.engine) as heard:
        ask()
    with database.reading() as connection:
        if indexes_only and connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return [Plan(text, _plan(connection, text, values)) for text, values in heard.items()]


def whole_tables(database: Database, plans: list[Plan], tables: set[str]) -> list[str]:
    """Those of *tables* that *plans* read as a whole, each with the statement."""
    pattern = _WHOLE[database.engine.name]
    return [
        f"{name}: {plan.statement}"
        for plan in plans
        for match in pattern.finditer("\n".join(plan.lines))
        for name in filter(None, match.groups())
        if name in tables
    ]


@contextmanager
def _heard(engine: Engine) -> Iterator[dict[str, Any]]:
    """Every SELECT that *engine* executes meanwhile, with the last values it was asked with."""
    heard: dict[str, Any] = {}

    def hear(_connection: Connection, _cursor: object, statement: str, parameters: Any, *_: object) -> None:  # noqa: ANN401
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            heard[statement] = parameters

    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(engine, "before_cursor_execute", hear)


def _plan(connection: Connection, statement: str, values: Any) -> list[str]:  # noqa: ANN401 - as the driver takes them
    rows = connection.exec_driver_sql(_EXPLAIN[connection.dialect.name] + statement, values)
    return [str(row[-1]) for row in rows]
