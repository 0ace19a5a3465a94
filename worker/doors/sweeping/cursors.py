"""The table of cursors: where the next look at a source begins, and which process may look.

A process holds a source by a lease of its row, and moves the cursor only while it does. The clock is the database's, so
that the clocks of two machines need not agree. A source is looked at when the row says so, whoever looks: neither a
second process nor a restart asks it more often.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, select, update

from worker.database.cipher import RowCipher
from worker.database.engine import Database
from worker.database.tables import door_cursors
from worker.database.thread import DatabaseThread
from worker.database.writing import insert_into

LEASE: Final = timedelta(seconds=15)  # without a sign of the process that looks, another one does
_ROW: Final = door_cursors.c
_PLACE: Final = "cursor"


class LeaseLost(Exception):  # noqa: N818 - what is the case
    """Another process looks at this source by now."""


@dataclass(frozen=True, slots=True)
class Turn:
    """It is this process's turn to look, from *cursor* on."""

    cursor: str | None


@dataclass(frozen=True, slots=True)
class Cursors:
    """Those of the process *holder*."""

    thread: DatabaseThread
    cipher: RowCipher
    holder: str

    async def turn(self, door: str) -> Turn | timedelta:
        """Return the turn to look at the source of *door*; or for how long to wait before asking again.

        Raises LedgerUnavailable, UnreadableRow.
        """

        def work(database: Database) -> Turn | timedelta:
            with database.writing() as connection:
                row, now = self._row(connection, door), _now(connection)
                others = row.held_until if row.holder != self.holder else None
                due = None if row.wanted_at and not row.fault else row.due_at
                waits: list[timedelta] = [each - now for each in (others, due) if each and each > now]
                if waits:
                    return max(waits)
                connection.execute(_of(door).values(holder=self.holder, held_until=now + LEASE, wanted_at=None))
            return Turn(None if row.sealed is None else self.cipher.open(row.sealed, f"{_PLACE} {door}").decode())

        return await self.thread.run(work)

    async def hold(self, door: str) -> None:
        """Prolong the lease. Raises LeaseLost, LedgerUnavailable."""
        await self._write(lambda connection: self._change(connection, door, held_until=_now(connection) + LEASE))

    def move(self, connection: Connection, door: str, cursor: str, pause: timedelta, missed: int = 0) -> None:
        """Have the next look begin at *cursor*, after *pause*; *missed* events the push missed. Raises LeaseLost."""
        now = _now(connection)
        news: dict[str, Any] = {"missed": _ROW.missed + missed, "missed_at": now} if missed else {}
        sealed = self.cipher.seal(cursor.encode(), f"{_PLACE} {door}")
        self._change(connection, door, sealed=sealed, looked_at=now, fault=None, failed_since=None, **news)
        self._wait(connection, door, now, pause)

    async def moved(self, door: str, cursor: str, pause: timedelta, missed: int = 0) -> None:
        """Do so by itself. Raises LeaseLost, LedgerUnavailable."""
        await self._write(lambda connection: self.move(connection, door, cursor, pause, missed))

    async def failed(self, door: str, fault: str, pause: timedelta) -> None:
        """Note that a look failed, and why; the next one is after *pause*. Raises LeaseLost, LedgerUnavailable."""

        def note(connection: Connection) -> None:
            now = _now(connection)
            self._change(connection, door, fault=fault, failed_since=func.coalesce(_ROW.failed_since, now))
            self._wait(connection, door, now, pause)

        await self._write(note)

    async def release(self) -> None:
        """Let every source go: another process need not wait for the leases to end. Raises LedgerUnavailable."""
        mine = update(door_cursors).where(_ROW.holder == self.holder)
        await self._write(lambda connection: connection.execute(mine.values(held_until=_now(connection))))

    async def _write(self, change: Callable[[Connection], object]) -> None:
        """Make *change* in a transaction of its own."""

        def work(database: Database) -> None:
            with database.writing() as connection:
                change(connection)

        await self.thread.run(work)

    def _row(self, connection: Connection, door: str) -> Any:  # noqa: ANN401 - a row
        _make(connection, door)
        return connection.execute(select(door_cursors).where(_ROW.door == door).with_for_update()).one()

    def _change(self, connection: Connection, door: str, **values: object) -> None:
        if connection.execute(_of(door).where(_ROW.holder == self.holder).values(**values)).rowcount != 1:
            raise LeaseLost(door)

    def _wait(self, connection: Connection, door: str, now: datetime, pause: timedelta) -> None:
        """Who has looked looks again; another one only where nobody does."""
        connection.execute(_of(door).values(due_at=now + pause, held_until=now + pause + LEASE))


def want_look(connection: Connection, door: str) -> None:
    """Have the source of *door* looked at without waiting for its time; a source that failed is left alone still.

    What is asked for during a look is done after it: that look may have begun too early to find the reason.
    """
    _make(connection, door)
    connection.execute(_of(door).values(wanted_at=_now(connection)))


def _make(connection: Connection, door: str) -> None:
    insert = insert_into(door_cursors, connection.dialect.name)
    connection.execute(insert.values(door=door, missed=0).on_conflict_do_nothing(index_elements=["door"]))


def _of(door: str) -> Any:  # noqa: ANN401 - an update
    return update(door_cursors).where(_ROW.door == door)


def _now(connection: Connection) -> datetime:
    """The database's time; SQLite has that of its one machine."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return now.astimezone(UTC)
