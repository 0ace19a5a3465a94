"""The database: opened by its URL; its errors become two of ours."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, event, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from worker.database.errors import LedgerRefused, LedgerUnavailable
from worker.database.postgresql import open_postgresql
from worker.database.revisions import alembic_config, require_known
from worker.database.sqlite import LedgerFile, open_sqlite
from worker.settings.urls import HIDDEN, fault_of_ledger_url, without_userinfo

LOCK_TIMEOUT: Final = 10  # seconds a writer waits for another one
_MIGRATION_LOCK: Final = 0x7265766F6B6572  # "revoker", the key of PostgreSQL's advisory lock
# SQLite's transactions read a snapshot by themselves (https://www.sqlite.org/isolation.html).
_SNAPSHOT: Final[Mapping[str, dict[str, Any]]] = {"sqlite": {}, "postgresql": {"isolation_level": "REPEATABLE READ"}}


@dataclass(frozen=True, slots=True)
class Database:
    """An engine whose transactions raise LedgerUnavailable when the database fails, LedgerRefused when a row does."""

    engine: Engine
    file: LedgerFile | None = None  # of SQLite

    def upgrade(self) -> None:
        """Make the file where it has one and that is missing, and apply the migrations that are missing.

        All in one transaction; processes take turns: on SQLite by the write lock, which it holds from the start.
        Raises LedgerIsNewer, with nothing done, where a newer release has migrated it.
        """
        from alembic import command  # noqa: PLC0415 - 10 MB that a worker, which never migrates, does without

        if self.file:
            self.file.create()
        config = alembic_config()
        with self.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            require_known(connection)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def shorten_log(self) -> None:
        """Empty the write-ahead log of SQLite where it is long; to be called now and then by whoever writes much."""
        if self.file:
            self.file.shorten_log()

    def reading(self) -> AbstractContextManager[Connection]:
        """One transaction that only reads, all of it from one moment: a cursor over several tables misses nothing."""
        return self._transaction(**_SNAPSHOT[self.engine.name])

    def writing(self) -> AbstractContextManager[Connection]:
        """One transaction that writes, committed at the end; on SQLite it holds the write lock from the start."""
        return self._transaction(writing=True)

    @contextmanager
    def _transaction(self, **options: Any) -> Iterator[Connection]:  # noqa: ANN401 - as SQLAlchemy takes them
        in_place = self.file.verified(self.engine) if self.file else nullcontext()
        try:
            with in_place, self.engine.execution_options(**options).begin() as connection:
                yield connection
        except (DBAPIError, PoolTimeoutError) as error:
            if isinstance(error, DBAPIError) and _is_of_a_row(error):
                raise LedgerRefused(f"ledger {_place(self.engine.url)}: {type(error.orig).__name__}") from None
            raise LedgerUnavailable(f"ledger {_place(self.engine.url)}: {_cause(error, self.engine.url)}") from None


def _is_of_a_row(error: DBAPIError) -> bool:
    """Whether the database will never take what it was given: no form for it, too long for an index, a broken rule.

    SQLite's driver says InterfaceError of a value without a form, the one of PostgreSQL of a lost connection. Class 54
    (https://www.postgresql.org/docs/current/errcodes-appendix.html) is of one statement, and not of the server.
    """
    limit = (getattr(error.orig, "sqlstate", None) or "").startswith("54")
    return limit or isinstance(error, DataError | IntegrityError) or isinstance(error.orig, sqlite3.InterfaceError)


def open_database(url: str, lock_timeout: float | None = None, *, durable: bool = True) -> Database:
    """The database at *url*: `sqlite:////path/file` or `postgresql+psycopg://…`. Connects at the first transaction.

    A lock is waited for *lock_timeout* (10 by default). What is not *durable* is committed without a sync: a power cut,
    or a crash of PostgreSQL, may take back its last moments, whole transactions only. Raises LedgerUnavailable for any
    other URL.
    """
    if fault := fault_of_ledger_url(url):
        raise LedgerUnavailable(f"the ledger's URL must be sqlite:////path/file or postgresql+psycopg://…; {fault}")
    parsed, lock_timeout = make_url(url), lock_timeout or LOCK_TIMEOUT
    if parsed.get_backend_name() == "sqlite":
        database = Database(*open_sqlite(parsed, Path(str(parsed.database)), lock_timeout, durable=durable))
    else:
        database = Database(open_postgresql(parsed, lock_timeout, durable=durable))
    _close_what_comes_back_late(database.engine)
    return database


def _close_what_comes_back_late(engine: Engine) -> None:
    """Close a connection that another thread gives back after *engine* was disposed of.

    SQLAlchemy lays it into a pool that nobody asks any more, where it stays open until the collector finds it
    (https://docs.sqlalchemy.org/en/20/core/connections.html#engine-disposal).
    """

    @event.listens_for(engine, "connect")
    def _note_pool(_connection: object, entry: ConnectionPoolEntry) -> None:
        entry.info["pool"] = engine.pool

    @event.listens_for(engine, "checkin")
    def _close(_connection: object, entry: ConnectionPoolEntry) -> None:
        if entry.info.get("pool") is not engine.pool:
            entry.invalidate()


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
    line = without_userinfo(line)
    return line.replace(str(url.password), HIDDEN) if url.password else line
