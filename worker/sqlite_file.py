"""What SQLite does not do by itself for a file that several processes and threads share."""

import os
import random
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

# Closing any descriptor of a file drops all of the process's POSIX locks on it
# (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_):
# so nobody may connect while the file is being created, and a file that is there is never opened but by SQLite.
_CREATING: Final = threading.Lock()


def create_private(path: Path) -> None:
    """An empty file only its owner can read, unless there is one; SQLite gives its -wal and -shm files the same mode.

    To be called before every connection. Raises OSError.
    """
    with _CREATING, suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


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
