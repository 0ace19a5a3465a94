"""One SQLite connection to the broker's file: private, in write-ahead mode, on the broker's own clock."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from kombu.exceptions import OperationalError

from worker.database.sqlite_file import FileIdentity, connect, create_private, execute_patiently

FORGET_LOCK_TIMEOUT_MS: Final = 50  # nobody else writes meanwhile
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
# AUTOINCREMENT: an id that was used again would let a late ack delete a message it never saw.
# visible_at is a message's place in its queue; one in the future is a delay.
SCHEMA: Final = (
    "CREATE TABLE clock (boot TEXT NOT NULL, epoch REAL NOT NULL)",
    "CREATE TABLE exchange (name TEXT PRIMARY KEY, type TEXT NOT NULL, alternate TEXT) WITHOUT ROWID",
    """CREATE TABLE exchange_binding (source TEXT NOT NULL, routing_key TEXT NOT NULL, destination TEXT NOT NULL,
    PRIMARY KEY (source, routing_key, destination)) WITHOUT ROWID""",
    "CREATE TABLE queue (name TEXT PRIMARY KEY, arguments TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE binding (exchange TEXT NOT NULL, routing_key TEXT NOT NULL, queue TEXT NOT NULL,
    PRIMARY KEY (exchange, routing_key, queue)) WITHOUT ROWID""",
    "CREATE TABLE lease (owner TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID",
    """CREATE TABLE message (id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, exchange TEXT NOT NULL,
    routing_key TEXT NOT NULL, visible_at REAL NOT NULL, owner TEXT, acquired INTEGER NOT NULL DEFAULT 0,
    returned INTEGER NOT NULL DEFAULT 0, envelope TEXT NOT NULL, body BLOB NOT NULL)""",
    "CREATE INDEX message_waiting ON message (queue, visible_at) WHERE owner IS NULL",
    "CREATE INDEX message_held ON message (owner) WHERE owner IS NOT NULL",
    """INSERT INTO exchange (name, type)
    VALUES ('amq.direct', 'direct'), ('amq.topic', 'topic'), ('amq.fanout', 'fanout')""",
)
VERSION: Final = 1


class BrokerUnavailable(OperationalError):  # noqa: N818  # a state, not a bug
    """The broker's file cannot be used now (locked, full, unreadable, closed); a later try may succeed."""


class BrokerFile:
    """A connection any thread may use, one transaction at a time; it waits *lock_timeout* seconds for other processes.

    *durable* commits survive a power cut (synchronous=FULL, https://www.sqlite.org/pragma.html#pragma_synchronous);
    the others survive kill -9 and may be undone, newest first, by a power cut.
    Nothing is reported as written that went into a file which meanwhile was deleted or replaced.
    Everything raises BrokerUnavailable while the file cannot be used.
    """

    def __init__(self, path: Path, *, durable: bool, lock_timeout: float) -> None:
        self.path = path
        self._lock_timeout = lock_timeout
        self._lock = threading.Lock()
        with self._translated():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            create_private(path)
            self._db, self._file = connect(path, lock_timeout)
        try:
            self._epoch = self._prepare("FULL" if durable else "NORMAL")
        except BaseException:
            self._db.close()
            raise

    def now(self) -> float:
        """Seconds on the clock all processes of this boot share; unmoved by steps of the wall clock."""
        return self._epoch + time.monotonic()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed at the end of the block, undone when the block raises."""
        with self._lock, self._translated():
            execute_patiently(self._db, "BEGIN IMMEDIATE", self._lock_timeout)
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has already rolled back
                    self._db.execute("ROLLBACK")
                raise
            self._verify()  # after the commit: what was written is where others look

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Statements that change nothing, and therefore wait for nobody."""
        with self._lock, self._translated():
            self._verify()
            yield self._db

    def forget(self) -> None:
        """Leave nothing of what was deleted in the write-ahead log; its bytes in the file were zeroed at once.

        While somebody reads or writes for long, it stays until the next time.
        """
        with self._lock, self._translated():
            self._db.execute(f"PRAGMA busy_timeout = {FORGET_LOCK_TIMEOUT_MS}")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._db.execute(f"PRAGMA busy_timeout = {self._lock_timeout * 1000:.0f}")

    def close(self) -> None:
        """Release the file; closing twice is harmless."""
        with self._lock, self._translated():
            self._db.close()

    def _prepare(self, synchronous: str) -> float:
        with self._translated():
            execute_patiently(self._db, "PRAGMA journal_mode = WAL", self._lock_timeout)
            self._db.execute(f"PRAGMA synchronous = {synchronous}")
            self._db.execute("PRAGMA journal_size_limit = 67108864")
            self._db.execute("PRAGMA secure_delete = ON")  # a refused message may have held a token in clear
        return self._known_epoch() or self._begin()

    def _verify(self) -> None:
        if FileIdentity.at(self.path) != self._file:
            raise BrokerUnavailable(f"embedded broker {self.path}: the file was deleted or replaced")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise BrokerUnavailable(f"embedded broker {self.path}: {error}") from error

    def _known_epoch(self) -> float | None:
        with self.read() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            return epoch_of_boot(db) if version == VERSION else None

    def _begin(self) -> float:
        with self.write() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise BrokerUnavailable(f"embedded broker {self.path}: written by a newer release")
            for statement in SCHEMA if version < VERSION else ():
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
            return epoch_of_boot(db) or _begin_boot(db)


def epoch_of_boot(db: sqlite3.Connection) -> float | None:
    """Where this boot's monotonic clock starts on the broker's clock, as the boot's first process saw it."""
    row = db.execute("SELECT epoch FROM clock WHERE boot = ?", (_boot(),)).fetchone()
    return row and float(row[0])


def _begin_boot(db: sqlite3.Connection) -> float:
    epoch = time.time() - time.monotonic()
    db.execute("DELETE FROM clock")
    db.execute("INSERT INTO clock VALUES (?, ?)", (_boot(), epoch))
    db.execute("UPDATE lease SET until = 0")  # every holder died with the machine
    return epoch


def _boot() -> str:
    # Elsewhere than on Linux the minute in which the boot began names it.
    return BOOT_ID.read_text().strip() if BOOT_ID.exists() else f"{(time.time() - time.monotonic()) / 60:.0f}"
