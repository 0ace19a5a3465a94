"""An SQLite connection that nobody closes fails a test, as Python 3.13 has it; before, the driver said nothing."""

import sqlite3
import sys
import warnings
from functools import partial
from traceback import StackSummary, walk_stack
from typing import Any, Final

import pytest

FRAMES: Final = 20  # of whoever connected


class Told(sqlite3.Connection):
    """A connection that tells when it goes unclosed, and who made it: the test that it fails may be another one."""

    _is_closed = False

    def __init__(self, *args: Any, **options: Any) -> None:
        self._made_by = StackSummary.extract(walk_stack(None), limit=FRAMES, lookup_lines=False)
        super().__init__(*args, **options)

    def close(self) -> None:
        """Let the file go."""
        super().close()
        self._is_closed = True

    def __del__(self) -> None:
        """Warn as Python 3.13 does (https://docs.python.org/3.13/whatsnew/3.13.html#sqlite3)."""
        if not self._is_closed:
            made_by = " < ".join(f"{each.filename}:{each.lineno}" for each in self._made_by)
            warnings.warn(f"unclosed database in {self!r}, made by {made_by}", ResourceWarning, stacklevel=1)


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Have every connection of this process made so."""
    if sys.version_info < (3, 13):
        sqlite3.connect = partial(sqlite3.connect, factory=Told)
