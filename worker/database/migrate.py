"""Bringing the schema to its newest revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlalchemy import Connection

MIGRATIONS: Final = "worker.database:migrations"  # a package resource: found wherever the package is installed
_LOCK: Final = 0x7265766F6B6572  # "revoker", the key of PostgreSQL's advisory lock


def upgrade(connection: Connection) -> None:
    """Apply every revision that is missing, in the transaction of *connection*; processes take turns.

    SQLite's turn is its write lock, which a writing transaction holds from the start.
    """
    from alembic import command  # noqa: PLC0415 - 10 MB that a worker, which never migrates, does without
    from alembic.config import Config  # noqa: PLC0415 - likewise

    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
