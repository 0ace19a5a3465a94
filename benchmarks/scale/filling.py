"""Fills ledgers in bulk: SQLite by one prepared statement a table, PostgreSQL by COPY, indexes made at the end."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import product
from typing import Any, Final

from sqlalchemy import Engine, Table, update

from benchmarks.say import say
from benchmarks.scale.desk import stand_still
from benchmarks.scale.rows import COLUMNS, Rows, batches
from benchmarks.scale.world import World
from worker.database.tables import clock
from worker.ledger import Ledger

Load = Callable[[Table, Rows], None]
# As autovacuum does within minutes.
_TIDY: Final = {"sqlite": "PRAGMA optimize", "postgresql": "VACUUM ANALYZE"}
_QUICKLY: Final = ("journal_mode=OFF", "synchronous=OFF", "cache_size=-200000")  # a file that nobody needs if it breaks


def fill(world: World, ledgers: Sequence[Ledger]) -> None:
    """Fill empty *ledgers* of the newest schema with *world*, all of them from the same rows."""
    engines = [ledger.database.engine for ledger in ledgers]
    with ExitStack() as stack:
        for engine in engines:
            stack.enter_context(_without_indexes(engine))
            _set_clock(engine, world)
        loaders = [stack.enter_context(_loading(engine)) for engine in engines]
        for rows in batches(world):
            for load, (table, some) in product(loaders, rows.items()):
                if some:
                    load(table, some)
        say("everything is loaded")
    for ledger in ledgers:
        _tidied(ledger.database.engine)  # a database without statistics takes ten times as long for what follows
        stand_still(world, ledger)
        _tidied(ledger.database.engine)


def _tidied(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(_TIDY[engine.name])


def _set_clock(engine: Engine, world: World) -> None:
    """Set the number of the last change to that of all rows that are loaded."""
    with engine.begin() as connection:
        connection.execute(update(clock).values(value=world.changes))
    engine.dispose()


@contextmanager
def _without_indexes(engine: Engine) -> Iterator[None]:
    """The tables without their indexes, which are made anew at the end: a tenth of the time."""
    indexes = [index for table in COLUMNS for index in table.indexes]
    with engine.begin() as connection:
        for index in indexes:
            index.drop(connection)
    engine.dispose()
    yield
    with engine.begin() as connection:
        for index in indexes:
            index.create(connection)
    say(f"the indexes on {engine.name} are made")


@contextmanager
def _loading(engine: Engine) -> Iterator[Load]:
    """What takes rows of a table; they are committed at the end, and the clock is behind them then."""
    with _of_sqlite(engine) if engine.name == "sqlite" else _of_postgresql(engine) as load:
        yield load


@contextmanager
def _of_sqlite(engine: Engine) -> Iterator[Load]:
    with closing(sqlite3.connect(str(engine.url.database), isolation_level=None)) as db:
        for each in _QUICKLY:
            db.execute(f"PRAGMA {each}")
        db.execute("BEGIN")

        def load(table: Table, rows: Rows) -> None:
            places = ", ".join("?" * len(COLUMNS[table]))
            db.executemany(f"INSERT INTO {table.name} ({_names(table)}) VALUES ({places})", rows)  # noqa: S608 - ours

        yield load
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode=WAL")


@contextmanager
def _of_postgresql(engine: Engine) -> Iterator[Load]:
    with engine.begin() as connection:
        driver: Any = connection.connection.driver_connection

        def load(table: Table, rows: Rows) -> None:
            with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({_names(table)}) FROM STDIN") as copy:
                copy.write("\n".join(["\t".join(map(_text, row)) for row in rows]) + "\n")

        yield load


def _text(value: object) -> str:
    """*value* in the text format of COPY: no value here has a tabulator or a line's end."""
    return "\\N" if value is None else str(value).replace("\\", "\\\\")


def _names(table: Table) -> str:
    return ", ".join(f'"{name}"' for name in COLUMNS[table])
