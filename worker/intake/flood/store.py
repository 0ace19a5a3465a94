"""What the blast-radius guard of every intake must know of the others, and what it holds back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, delete, func, insert, select, text, tuple_

from tasks.outcome import Reason
from worker.database.tables import dead_letters, floods, passed
from worker.database.upsert import Insert, insert_into
from worker.intake.flood.subject import Key, Subject
from worker.intake.flood.window import Changes, Flood
from worker.ledger.rows import DeadLetterState

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from worker.database.engine import Database

HELD_BACK: Final = (DeadLetterState.WITHHELD, DeadLetterState.CLAIMED)  # claimed: a release is at it, or died half way
# The turn is ours when the time is read: what comes in FROM is evaluated first. The number, "floods" in ASCII, is the
# key of PostgreSQL's advisory lock; SQLite's writer has its lock already.
_TURN: Final = {
    "sqlite": text("SELECT (julianday('now') - 2440587.5) * 86400.0"),
    "postgresql": text(
        "SELECT extract(epoch FROM clock_timestamp())::float8 FROM pg_advisory_xact_lock(112615912072307)"
    ),
}


@dataclass(frozen=True, slots=True)
class FloodRow:
    """What is held back of one source and type, and whether more is being held back; *source* "": of all together."""

    source: str
    event_type: str
    held: int
    oldest_at: datetime | None  # of what is held
    opened_at: datetime | None  # None: it was ended, or its events are held by the flood of all sources


@dataclass(frozen=True, slots=True)
class Told:
    """What an intake learns in its turn. Times are seconds since 1970 by the database's clock."""

    now: float
    seen: int  # the number of the last that passed
    passed: list[tuple[Subject, float]]
    floods: list[Flood]


@dataclass(frozen=True, slots=True)
class Answer:
    """What it tells."""

    changes: Changes
    over: float | None = None  # what passed before this time counts no more; None: not looked at this time


def load(connection: Connection, seen: int) -> Told:
    """Take the turn of this intake, and learn whom the others let through after number *seen*."""
    now: float = connection.execute(_TURN[connection.dialect.name]).scalar_one()
    rows = connection.execute(select(passed).where(passed.c.number > seen).order_by(passed.c.number)).all()
    known = [(Subject(row.source, row.event_type, row.hash), row.at) for row in rows]
    return Told(now, rows[-1].number if rows else seen, known, _floods(connection))


def save(connection: Connection, answer: Answer) -> None:
    """Tell the others whom this intake lets through; no other takes its turn before this is committed."""
    if answer.changes.passed:
        connection.execute(insert(passed), [{**asdict(each), "at": at} for each, at in answer.changes.passed])
    if answer.changes.floods:
        told = [asdict(flood) for flood in answer.changes.floods.values()]
        connection.execute(_open(connection.dialect.name), told)
    if answer.over is not None:
        connection.execute(delete(passed).where(passed.c.at <= answer.over))


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


def end(database: Database, keys: Collection[Key]) -> None:
    """Hold no more back of these sources and types; what is held stays."""
    with database.writing() as connection:
        connection.execute(_TURN[connection.dialect.name])
        connection.execute(delete(floods).where(tuple_(floods.c.source, floods.c.event_type).in_(list(keys))))


def _open(dialect: str) -> Insert:
    """A flood is opened once; after that only its reserve changes."""
    opened = insert_into(floods, dialect)
    return opened.on_conflict_do_update(
        index_elements=[floods.c.source, floods.c.event_type], set_={"reserve_at": opened.excluded.reserve_at}
    )


def _floods(connection: Connection) -> list[Flood]:
    return [Flood(**row._mapping) for row in connection.execute(select(floods))]  # noqa: SLF001 - SQLAlchemy's public way
