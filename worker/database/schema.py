"""The ledger's schema as it is, compared with what this release knows; nothing is written."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from worker.database.engine import open_database
from worker.database.errors import LedgerUnavailable
from worker.database.revisions import VERSION_TABLE
from worker.database.sqlite_file import connect_read_only

LOCK_TIMEOUT: Final = 5.0  # seconds
_REVISION: Final = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Schema:
    """The revision of a ledger, None where it has none; and the time by its own clock, None where that is ours."""

    revision: str | None
    now: datetime | None = None


def schema_at(url: str) -> Schema:
    """The schema of the ledger at *url*. Raises LedgerUnavailable."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _of_file(Path(str(parsed.database)))
    database = open_database(url, LOCK_TIMEOUT)
    try:
        with database.reading() as connection:
            return _of_server(connection)
    finally:
        database.engine.dispose()


def _of_file(path: Path) -> Schema:
    try:
        with closing(connect_read_only(path, LOCK_TIMEOUT)) as db:
            row = db.execute(_REVISION).fetchone()
    except (OSError, sqlite3.Error) as error:
        if "no such table" in str(error):
            return Schema(None)
        cause = error.strerror if isinstance(error, OSError) else str(error)
        raise LedgerUnavailable(f"ledger {path}: {cause}") from None
    return Schema(row and str(row[0]))


def _of_server(connection: sa.Connection) -> Schema:
    now = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one().astimezone(UTC)
    if connection.exec_driver_sql(f"SELECT to_regclass('{VERSION_TABLE}')").scalar_one() is None:
        return Schema(None, now)
    return Schema(connection.exec_driver_sql(_REVISION).scalar_one_or_none(), now)
