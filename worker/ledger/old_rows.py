"""Rows that may be old enough to be forgotten: read a page at a time from the oldest on, each once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, literal, select, tuple_

from worker.database.engine import Database

Pair = tuple[str | None, str | None]  # source and id of an event, where they are known


@dataclass(frozen=True, slots=True)
class OldRows:
    """Rows of one kind that are older than the horizon, and which of them are kept nevertheless."""

    table: Table
    at: ColumnElement[datetime]
    where: ColumnElement[bool]
    is_kept: ColumnElement[bool]
    remove: Callable[[Connection, Sequence[Row[Any]]], list[Pair]]  # those still not kept; returns the events
    page_size: int

    def pages(self, database: Database) -> Iterator[Sequence[Row[Any]]]:
        """What is not kept, page by page. Nothing is locked meanwhile. Raises LedgerUnavailable."""
        page = self._read(database, self._page())
        while len(page) == self.page_size:
            yield [row for row in page if not row.is_kept]
            page = self._read(database, self._behind(page[-1]))
        if old := [row for row in page if not row.is_kept]:
            yield old

    def _key(self) -> tuple[ColumnElement[Any], ...]:
        return (self.at, *self.table.primary_key)

    def _page(self) -> Select[Any]:
        columns = dict.fromkeys((*self._key(), self.table.c.source, self.table.c.event_id))
        page = select(*columns, self.is_kept.label("is_kept")).where(self.where)
        return page.order_by(*self._key()).limit(self.page_size)

    def _behind(self, last: Row[Any]) -> Select[Any]:
        """The page behind *last*, which an index finds by the time."""
        key = self._key()
        place = [literal(value, each.type) for value, each in zip(last, key, strict=False)]
        return self._page().where(self.at >= place[0], tuple_(*key) > tuple_(*place))

    @staticmethod
    def _read(database: Database, page: Select[Any]) -> Sequence[Row[Any]]:
        with database.reading() as connection:
            return connection.execute(page).all()
