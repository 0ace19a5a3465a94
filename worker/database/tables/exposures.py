"""The table of counted exposures."""

from typing import Final

from sqlalchemy import BigInteger, Column, Table

from worker.database.columns import Words
from worker.database.tables.base import metadata

# How many calls were settled in five minutes, by how long they had been exposed: each is counted once, when recorded.
exposures: Final = Table(
    "exposures",
    metadata,
    Column("slot", BigInteger, primary_key=True, autoincrement=False),  # seconds since 1970: where its time begins
    Column("provider", Words, primary_key=True),
    Column("event_type", Words, primary_key=True),
    Column("at_most_ms", BigInteger, primary_key=True, autoincrement=False),  # and more than the bound below it
    Column("calls", BigInteger, nullable=False),
    sqlite_with_rowid=False,  # it is its own index
)
