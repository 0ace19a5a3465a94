"""The ledger in an SQLite file: private, in write-ahead mode, and never written after it was moved away."""

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event

from worker.database.errors import LedgerUnavailable
from worker.database.sqlite_file import FileIdentity, connect, create_private, empty_log, execute_patiently, log_size

logger = logging.getLogger(__name__)

LONGEST_LOG: Final = 64 * 1024 * 1024  # bytes of the write-ahead log
LOG_INTERVAL: Final = 10.0  # seconds between two tries to empty it


class LedgerFile:
    """The file of one engine, which may be deleted, or replaced by its backup, under the processes that use it.

    Its connections would go on with the file they opened, and all that is committed there is gone at the end.
    """

    def __init__(self, path: Path, lock_timeout: float, *, durable: bool) -> None:
        self._path, self._lock_timeout = path, lock_timeout
        self._synchronous = "FULL" if durable else "NORMAL"
        self._in_use: FileIdentity | None = None  # None: no connection is open
        self._was_there = False
        self._next_try = 0.0

    def create(self) -> None:
        """Make an empty file where there is none. Not in place of one that was deleted: a backup may be on its way."""
        if self._was_there:
            return
        try:
            made = create_private(self._path)
        except OSError as error:
            raise LedgerUnavailable(f"ledger {self._path}: {error.strerror}") from None
        if made:
            logger.info("ledger.created", extra={"path": str(self._path)})

    @contextmanager
    def verified(self, engine: Engine) -> Iterator[None]:
        """Around a transaction: raises LedgerUnavailable, once, where the file at the path is another than before.

        Also after a commit, which then went nowhere. The next transaction opens the file that is there now.
        """
        self._verify(engine)
        yield
        self._verify(engine)

    def shorten_log(self) -> None:
        """Empty the write-ahead log where it is long; for that writers wait for those who read at this moment.

        SQLite begins it anew by itself, but only in a moment in which nobody reads: with a console that many look at it
        would grow until the disk is full (https://www.sqlite.org/wal.html#avoiding_excessively_large_wal_files).
        """
        if time.monotonic() < self._next_try or log_size(self._path) <= LONGEST_LOG:
            return
        self._next_try = time.monotonic() + LOG_INTERVAL
        with suppress(OSError, sqlite3.Error):  # who writes next finds it out
            empty_log(self._path)

    def connect(self) -> sqlite3.Connection:
        """A connection for SQLAlchemy's pool."""
        try:
            connection, found = connect(self._path, self._lock_timeout)
            with ExitStack() as unless_fit:
                unless_fit.callback(connection.close)
                self._path.chmod(0o600)
                self._prepare(connection, found)
                unless_fit.pop_all()
        except FileNotFoundError:
            advice = "no such file; put its backup there, or make an empty one: run `revoker ledger upgrade`"
            raise LedgerUnavailable(f"ledger {self._path}: {advice}") from None
        except OSError as error:
            raise LedgerUnavailable(f"ledger {self._path}: {error.strerror}") from None
        return connection

    def _prepare(self, connection: sqlite3.Connection, found: FileIdentity) -> None:
        if self._in_use not in {None, found}:
            raise LedgerUnavailable(self._moved)
        self._in_use, self._was_there = found, True
        # Readers and the writer do not meet.
        execute_patiently(connection, "PRAGMA journal_mode=WAL", self._lock_timeout)
        # FULL: a commit is on the disk before the message is acked to the broker. With NORMAL a power cut takes back
        # commits that were acked (https://www.sqlite.org/pragma.html#pragma_synchronous); one sync per batch is cheap.
        connection.execute(f"PRAGMA synchronous={self._synchronous}")

    def _verify(self, engine: Engine) -> None:
        if self._in_use is not None and FileIdentity.at(self._path) != self._in_use:
            self._in_use = None
            engine.dispose()
            raise LedgerUnavailable(self._moved)

    @property
    def _moved(self) -> str:
        return f"ledger {self._path}: the file was deleted or replaced"


def open_sqlite(url: URL, path: Path, lock_timeout: float, *, durable: bool) -> tuple[Engine, LedgerFile]:
    """An engine for the file at *path*; locks are waited for *lock_timeout* seconds."""
    file = LedgerFile(path, lock_timeout, durable=durable)
    engine = create_engine(url, hide_parameters=True, pool_timeout=lock_timeout)

    @event.listens_for(engine, "do_connect")
    def _connect(*_: Any) -> sqlite3.Connection:  # noqa: ANN401
        return file.connect()

    event.listen(engine, "begin", _begin)
    return engine, file


@contextmanager
def any_text(connection: Connection) -> Iterator[None]:
    """Within, SQLite gives back text that is no UTF-8, too: each byte that is none as half of a character.

    It checks no text that is written. PostgreSQL does.
    """
    raw = connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        yield
        return
    before, raw.text_factory = raw.text_factory, partial(str, encoding="utf-8", errors="surrogateescape")
    try:
        yield
    finally:
        raw.text_factory = before


def _begin(connection: Connection) -> None:
    # A reader that turns writer half way would be refused at once, busy or not: writers begin as writers
    # (https://www.sqlite.org/lang_transaction.html).
    writing = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
