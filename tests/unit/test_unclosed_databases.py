"""An SQLite connection that nobody closes fails a test, on every Python."""

import gc
import sqlite3
from contextlib import closing

import pytest


def leave_open() -> None:
    """Have nobody hold a connection any more."""
    sqlite3.connect(":memory:").execute("SELECT 1")
    gc.collect()  # it refers to itself


def test_a_connection_that_nobody_closes_is_told() -> None:
    """Its file would stay open for as long as the process lives."""
    with pytest.warns(ResourceWarning, match="unclosed database"):
        leave_open()


def test_a_closed_one_is_not() -> None:
    """Whoever closes it."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("SELECT 1")
