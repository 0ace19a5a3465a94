"""What the gates of all intakes share, and what is held back: a gate locks and loads, decides, and saves."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select, text, tuple_

from tasks.outcome import Reason
from worker.database.engine import Database
from worker.database.tables import dead_letters, floods, passed
from worker.database.writing import Insert, insert_into
from worker.intake.flood.window import Flood, FloodKey, Pending, Subject
from worker.ledger.rows import DeadLetterState

HELD_BACK: Final = (DeadLetterState.WITHHELD, DeadLetterState.CLAIMED)  # claimed: a release is at it, or died half way
# The lock is ours when the time is read, because FROM is evaluated first. The number, "floods" in ASCII, is the key of
# PostgreSQL's advisory lock; SQLite's writer has its lock already.
_LOCK: Final = {
    "sqlite": text("SELECT (julianday('now') - 2440587.5) * 86400.0"),
    "postgresql": text(
        "SELECT extract(epoch FROM clock_timestamp())::float8 FROM pg_advisory_xact_lock(112615912072307)"
    ),
}


_PASSED_AFTER: Final = select(passed).where(passed.c.number > bindparam("seen")).order_by(passed.c.number)


@dataclass(frozen=True, slots=True)
class FloodRow:
    """What is held back of one source and type, and whether more is being held back; *source* "": of all together."""

    source: str
    event_type: str
    held: int
    oldest_at: datetime | None  # of what is held
    opened_at: datetime | None  # None: it was ended, or its events are held by the flood of all sources


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the intakes know together. Times are seconds since 1970 by the database's clock."""

    now: float
    seen: int  # the number of the last subject that passed
    passed: list[tuple[Subject, float]]  # with their times
    floods: list[Flood]


def load(connection: Connection, seen: int) -> Snapshot:
    """Lock the store until the transaction ends; return it, with the subjects that passed after number *seen*."""
    now: float = connection.execute(_LOCK[connection.dialect.name]).scalar_one()
    rows = connection.execute(_PASSED_AFTER, {"seen": seen}).all()
    known = [(Subject(row.source, row.event_type, row.hash), row.at) for row in rows]
    return Snapshot(now, rows[-1].number if rows else seen, known, _floods(connection))


def save(connection: Connection, pending: Pending, delete_until: float | None = None) -> None:
    """Add what is *pending*; delete the subjects that passed until *delete_until*, who count no more."""
    if pending.passed:
        connection.execute(insert(passed), [{**asdict(each), "at": at} for each, at in pending.passed])
    if pending.floods:
        connection.execute(_open(connection.dialect.name), [asdict(flood) for flood in pending.floods.values()])
    if delete_until is not None:
        connection.execute(delete(passed).where(passed.c.at <= delete_until))


def standing(database: Database) -> list[FloodRow]:
    """Return every flood, and every source and type of which something is held, oldest first."""
    letter = dead_letters.c
    columns = letter.source, letter.event_type, func.count(), func.min(letter.at)
    waits = and_(letter.state.in_(HELD_BACK), letter.reason == Reason.GUARD_FLOOD)
    held = select(*columns).where(waits).group_by(*columns[:2])
    with database.reading() as connection:
        found = {(source, kind): (count, oldest) for source, kind, count, oldest in connection.execute(held)}
        opened = {flood.key: datetime.fromtimestamp(flood.opened_at, UTC) for flood in _floods(connection)}
    keys = {**opened, **found}
    rows = [FloodRow(*key, *found.get(key, (0, None)), opened.get(key)) for key in keys]
    return sorted(rows, key=lambda row: (row.opened_at or row.oldest_at, row.source, row.event_type))


def end(connection: Connection, keys: Collection[FloodKey]) -> None:
    """Hold no more back of these sources and types; what is held stays."""
    if keys:
        connection.execute(_LOCK[connection.dialect.name])
        connection.execute(delete(floods).where(tuple_(floods.c.source, floods.c.event_type).in_(list(keys))))


def _open(dialect: str) -> Insert:
    """A flood is opened once; after that only its reserve changes."""
    opened = insert_into(floods, dialect)
    return opened.on_conflict_do_update(
        index_elements=[floods.c.source, floods.c.event_type], set_={"reserve_at": opened.excluded.reserve_at}
    )


def _floods(connection: Connection) -> list[Flood]:
    return [Flood(**row._mapping) for row in connection.execute(select(floods))]  # noqa: SLF001 - SQLAlchemy's public way
