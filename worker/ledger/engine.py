"""The way to the database: opening it, and translating what it says when it cannot serve."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from worker.sqlite_file import create_private, execute_patiently

LOCK_SECONDS: Final = 10  # how long a writer waits for another one
CONNECT_SECONDS: Final = 5
STATEMENT_SECONDS: Final = 60


# A server whose machine is gone answers nothing, not even that: without these TCP waits for a quarter of an hour
# (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-KEEPALIVES).
_NOTICED: Final = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}

# SQLite's transactions read a snapshot by themselves (https://www.sqlite.org/isolation.html).
_SNAPSHOT: Final[Mapping[str, dict[str, Any]]] = {"sqlite": {}, "postgresql": {"isolation_level": "REPEATABLE READ"}}


class LedgerUnavailable(Exception):  # noqa: N818 - the name says what is the case, as operators read it
    """The ledger cannot serve now: unreachable, locked, full, not migrated. One line, without a password."""


class LedgerRefused(Exception):  # noqa: N818 - likewise
    """The database will never take these rows, however often it is asked. One line that names no value."""


@dataclass(frozen=True, slots=True)
class Database:
    """An engine whose transactions raise LedgerUnavailable when the database fails, LedgerRefused when a row does."""

    engine: Engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction that only reads, all of it from one moment: a cursor over several tables misses nothing."""
        with self._translated(), self.engine.execution_options(**_SNAPSHOT[self.engine.name]).begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that writes, committed at the end; on SQLite it holds the write lock from the start."""
        with self._translated(), self.engine.execution_options(writing=True).begin() as connection:
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (DataError, IntegrityError) as error:
            raise LedgerRefused(f"ledger {_place(self.engine.url)}: {type(error.orig).__name__}") from None
        except (DBAPIError, PoolTimeoutError) as error:
            raise LedgerUnavailable(f"ledger {_place(self.engine.url)}: {_cause(error, self.engine.url)}") from None


def open_database(url: str, lock_seconds: float | None = None, *, durable: bool = True) -> Database:
    """The database at *url*: `sqlite:////path/file` or `postgresql+psycopg://…`. Connects at the first transaction.

    A lock is waited for *lock_seconds* (10 by default). What is not *durable* is committed without a sync: a power cut,
    or a crash of PostgreSQL, may take back its last moments, whole transactions only. Raises LedgerUnavailable for any
    other URL.
    """
    parsed, patience = _parsed(url), lock_seconds or LOCK_SECONDS
    match parsed.get_backend_name(), parsed.database:
        case "sqlite", str(path) if path != ":memory:":
            return Database(_sqlite(parsed, Path(path), patience, durable=durable))
        case "postgresql", _:
            return Database(_postgresql(parsed, patience, durable=durable))
        case _:
            raise LedgerUnavailable("the ledger's URL must be sqlite:////path/file or postgresql+psycopg://…")


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError):
        raise LedgerUnavailable("the ledger's URL must be sqlite:////path/file or postgresql+psycopg://…") from None
    return parsed


def _postgresql(url: URL, patience: float, *, durable: bool) -> Engine:
    settings = {
        "lock_timeout": int(patience * 1000),
        "statement_timeout": STATEMENT_SECONDS * 1000,
        # https://www.postgresql.org/docs/current/wal-async-commit.html
        "synchronous_commit": "on" if durable else "off",
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        hide_parameters=True,  # an error names no row, in a log neither
        pool_pre_ping=True,
        pool_timeout=patience,
        connect_args={"connect_timeout": CONNECT_SECONDS, "options": options, **_NOTICED},
    )
    event.listen(engine, "connect", _speak_utc)
    return engine


def _speak_utc(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's
    """Have times read in UTC: in another zone the first hours of year 1, or the last of 9999, are no `datetime`.

    As a statement, since PgBouncer takes no `options`; it keeps the zone for the client in either pooling, because
    PostgreSQL reports its changes (https://www.pgbouncer.org/config.html, `track_extra_parameters`).
    """
    connection.autocommit = True
    connection.execute("SET TIME ZONE 'UTC'")
    connection.autocommit = False


def _sqlite(url: URL, path: Path, patience: float, *, durable: bool) -> Engine:
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": patience}, pool_timeout=patience)
    event.listen(engine, "do_connect", lambda *_: _make_private(path))  # not sooner: a full disk is waited for
    event.listen(engine, "connect", lambda connection, _: _prepare_sqlite(connection, patience, durable=durable))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private(path: Path) -> None:
    try:
        create_private(path)
        path.chmod(0o600)
    except OSError as error:
        raise LedgerUnavailable(f"ledger {path}: {error.strerror}") from None


def _prepare_sqlite(connection: sqlite3.Connection, patience: float, *, durable: bool) -> None:
    connection.isolation_level = None  # the transaction is ours to begin
    execute_patiently(connection, "PRAGMA journal_mode=WAL", patience)  # readers and the writer do not meet
    # FULL: a commit is on the disk before the message is acked to the broker. With NORMAL a power cut takes back
    # commits that were acked (https://www.sqlite.org/pragma.html#pragma_synchronous); one sync per batch is cheap.
    connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")


def _begin_sqlite(connection: Connection) -> None:
    # A reader that turns writer half way would be refused at once, busy or not: writers say so first
    # (https://www.sqlite.org/lang_transaction.html).
    writing = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _place(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return f"postgresql://{url.host or 'localhost'}:{url.port or 5432}/{url.database or ''}"


def _cause(error: Exception, url: URL) -> str:
    """The database's first line, which names no row; the password is taken out should the driver repeat it."""
    original = error.orig if isinstance(error, DBAPIError) else None
    if original is None:
        return "every connection is in use"
    line = (str(original).splitlines() or [type(original).__name__])[0]
    if "no such table" in line or type(original).__name__ == "UndefinedTable":
        return "not migrated: run `revoker ledger upgrade`"
    return line.replace(str(url.password), "***") if url.password else line
