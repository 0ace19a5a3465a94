"""The outbox: events that are safe in the ledger's database until the broker has confirmed them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeVar

from sqlalchemy import Connection, delete, func, select

from worker.database.cipher import RowCipher
from worker.database.engine import Database
from worker.database.tables import door_news, outbox
from worker.database.thread import DatabaseThread
from worker.database.writing import insert_into

T = TypeVar("T")
_ROW: Final = outbox.c
_PLACE: Final = "outbox"


class OutboxFull(Exception):  # noqa: N818 - what is the case
    """As many events wait in the outbox as the settings allow."""


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    """An event that came in by a door."""

    door: str
    event_type: str
    body: bytes = field(repr=False)


class Waiting(NamedTuple):
    """What waits of one door."""

    events: int
    since: datetime


class Outbox:
    """That of an installation, over a durable *thread*; at most *limit* events wait."""

    def __init__(self, thread: DatabaseThread, cipher: RowCipher, limit: int) -> None:
        self._thread, self._cipher, self._limit = thread, cipher, limit
        self.waiting: Mapping[str, Waiting] = {}  # by door, as of the last look

    async def put(self, events: Sequence[OutgoingEvent]) -> None:
        """Keep *events*; on the disk when it returns. Raises OutboxFull and LedgerUnavailable, and keeps none then."""
        await self.transact(lambda _: ((), events))

    async def transact(self, job: Callable[[Connection], tuple[T, Sequence[OutgoingEvent]]]) -> T:
        """Return what *job* returns first; its events are kept in the transaction in which it changes what it changes.

        Raises as `put` does; nothing is changed then.
        """

        def work(database: Database) -> tuple[T, Mapping[str, Waiting]]:
            with database.writing() as connection:
                result, events = job(connection)
                self._insert(connection, events)
                return result, _waiting(connection)

        result, self.waiting = await self._thread.run(work)
        return result

    async def read(self, job: Callable[[Connection], T]) -> T:
        """Return what *job* returns, which only reads. Raises LedgerUnavailable."""

        def work(database: Database) -> T:
            with database.reading() as connection:
                return job(connection)

        return await self._thread.run(work)

    async def look(self) -> None:
        """Find out what waits. Raises LedgerUnavailable."""
        self.waiting = await self.read(_waiting)

    async def first(self, count: int) -> list[tuple[int, OutgoingEvent]]:
        """Return the *count* that came first, each with its number. Raises LedgerUnavailable, UnreadableRow."""
        columns = select(_ROW.number, _ROW.door, _ROW.event_type, _ROW.sealed).order_by(_ROW.number).limit(count)

        def work(database: Database) -> list[tuple[int, OutgoingEvent]]:
            with database.reading() as connection:
                rows = connection.execute(columns).all()
            return [(n, OutgoingEvent(door, kind, self._cipher.open(sealed, _PLACE))) for n, door, kind, sealed in rows]

        return await self._thread.run(work)

    async def drop(self, numbers: Iterable[int]) -> None:
        """Forget what the broker has confirmed. Raises LedgerUnavailable."""
        gone = delete(outbox).where(_ROW.number.in_([*numbers]))

        def work(database: Database) -> Mapping[str, Waiting]:
            with database.writing() as connection:
                connection.execute(gone)
                return _waiting(connection)

        self.waiting = await self._thread.run(work)

    async def tell(self, events: Mapping[str, datetime], keys: Mapping[str, datetime]) -> None:
        """Write down when each door's last event came, and when its keys were read. Raises LedgerUnavailable."""
        rows = [{"door": name, "event_at": events.get(name), "keys_at": keys.get(name)} for name in {*events, *keys}]

        def work(database: Database) -> None:
            with database.writing() as connection:
                insert = insert_into(door_news, connection.dialect.name)
                new = {n: func.coalesce(insert.excluded[n], door_news.c[n]) for n in ("event_at", "keys_at")}
                connection.execute(insert.on_conflict_do_update(index_elements=["door"], set_=new), rows)

        if rows:
            await self._thread.run(work)

    def waiting_of(self, connection: Connection, events: Iterable[OutgoingEvent]) -> frozenset[bytes]:
        """Return the bodies of those of *events* that wait here."""
        bodies = {self._digest(each): each.body for each in events}
        rows = connection.execute(select(_ROW.digest).where(_ROW.digest.in_([*bodies]))).scalars()
        return frozenset(bodies[digest] for digest in rows)

    def _insert(self, connection: Connection, events: Sequence[OutgoingEvent]) -> None:
        if not events:
            return
        if connection.execute(select(func.count()).select_from(outbox)).scalar_one() + len(events) > self._limit:
            raise OutboxFull(f"{self._limit} events wait for the broker; see door.outbox_limit")
        insert = insert_into(outbox, connection.dialect.name)
        connection.execute(insert.on_conflict_do_nothing(index_elements=["digest"]), [*map(self._row, events)])

    def _row(self, event: OutgoingEvent) -> dict[str, object]:
        return {
            "door": event.door,
            "digest": self._digest(event),
            "event_type": event.event_type,
            "sealed": self._cipher.seal(event.body, _PLACE),
            "at": datetime.now(UTC),
        }

    def _digest(self, event: OutgoingEvent) -> bytes:
        return self._cipher.digest(event.body, f"{_PLACE} {event.door}")


def _waiting(connection: Connection) -> Mapping[str, Waiting]:
    rows = connection.execute(select(_ROW.door, func.count(), func.min(_ROW.at)).group_by(_ROW.door))
    return {door: Waiting(count, since) for door, count, since in rows}
