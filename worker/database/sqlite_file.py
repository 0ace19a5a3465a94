"""What SQLite does not do by itself for a file that several processes and threads share."""

import errno
import os
import random
import sqlite3
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple

from tasks import private_files

# Closing any descriptor of a file drops all of the process's POSIX locks on it
# (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_):
# so nobody may connect while the file is being created, and a file that is there is never opened but by SQLite.
_CREATING: Final = threading.Lock()
LOG_PATIENCE: Final = 1.0  # seconds


class FileIdentity(NamedTuple):
    """Tells a file from another one that takes its path, because SQLite goes on with the one it opened.

    A deleted file takes every commit until the last process closes it, and then they are gone; after a backup was put
    in its place, they are in a file without a name (https://www.sqlite.org/howtocorrupt.html section 1.5).
    """

    device: int
    inode: int

    @classmethod
    def at(cls, path: Path) -> "FileIdentity | None":
        """The identity of the file at *path*; None where there is none. Nothing is opened: see _CREATING."""
        try:
            found = path.stat()
        except OSError:
            return None
        return cls(found.st_dev, found.st_ino)


def create_private(path: Path) -> bool:
    """Make an empty file only its owner can read; False where there is one. Raises OSError.

    SQLite gives its -wal and -shm files the same mode.
    """
    with _CREATING, suppress(FileExistsError):
        os.close(private_files.create_private(path))
        return True
    return False


def connect(path: Path, lock_timeout: float) -> tuple[sqlite3.Connection, FileIdentity]:
    """A connection to the file at *path*, for any thread, without transactions of its own; and which file that is.

    It waits *lock_timeout* seconds for locks. No file is made: FileNotFoundError where there is none; sqlite3.Error.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"  # every character of a path means itself there
    while True:
        before = FileIdentity.at(path)
        if before is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        connection = sqlite3.connect(uri, uri=True, timeout=lock_timeout, isolation_level=None, check_same_thread=False)
        if FileIdentity.at(path) == before:
            return connection, before
        connection.close()  # replaced in this moment: it may be either of the two


def execute_patiently(connection: sqlite3.Connection, statement: str, seconds: float) -> None:
    """Execute *statement*, waiting up to *seconds* for the locks of others; later statements wait as long.

    SQLite's own waiting backs off to 100 ms a time: against a process that commits without a pause it loses for
    seconds, and the switch to WAL does not wait at all. Short waits of random length share the lock fairly. Raises
    sqlite3.OperationalError.
    """
    deadline = time.monotonic() + seconds
    connection.execute("PRAGMA busy_timeout = 0")
    while True:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.0001, 0.0005))  # noqa: S311  # no secret
        else:
            break
    connection.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")


def log_size(path: Path) -> int:
    """The bytes of the write-ahead log of the file at *path*; 0 where there is none. Nothing is opened."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size
    except OSError:
        return 0


def empty_log(path: Path) -> None:
    """Have all of the write-ahead log in the file at *path*, and the log empty, unless somebody reads for too long.

    Writers wait until those who read at this moment are done, LOG_PATIENCE at most. Raises OSError, sqlite3.Error.
    """
    connection, _ = connect(path, LOG_PATIENCE)
    with closing(connection):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def connect_read_only(path: Path, lock_timeout: float) -> sqlite3.Connection:
    """A connection to the file at *path* that leaves no trace there: it makes no `-wal` and `-shm` beside it.

    Where nobody has the file open there are none, and it is read as one that does not change
    (https://www.sqlite.org/wal.html#read_only_databases). Raises FileNotFoundError, and sqlite3.Error at the first use.
    """
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    is_in_use = all(path.with_name(path.name + end).exists() for end in ("-wal", "-shm"))
    uri = f"{path.absolute().as_uri()}?{'mode=ro' if is_in_use else 'immutable=1'}"
    return sqlite3.connect(uri, uri=True, timeout=lock_timeout, isolation_level=None)
