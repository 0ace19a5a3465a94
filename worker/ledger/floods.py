"""What the blast-radius guard of every intake must know of the others, and what it holds back."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy import and_, delete, func, insert, select, text, tuple_

from tasks.outcome import Reason
from worker.blast_radius.subject import Key, Subject
from worker.blast_radius.window import Changes, Flood
from worker.ledger import upserts
from worker.ledger.rows import DeadLetterState, FloodRow
from worker.ledger.tables import dead_letters, floods, passed

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")

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


Turn = Callable[[Told], tuple[Answer, T]]


def share(connection: Connection, seen: int, turn: Turn[T]) -> T:
    """What *turn* returns beside its answer, which is now written."""
    now: float = connection.execute(_TURN[connection.dialect.name]).scalar_one()
    rows = connection.execute(select(passed).where(passed.c.number > seen).order_by(passed.c.number)).all()
    known = [(Subject(row.source, row.event_type, row.hash), row.at) for row in rows]
    answer, result = turn(Told(now, rows[-1].number if rows else seen, known, _floods(connection)))
    if answer.changes.passed:
        connection.execute(insert(passed), [{**asdict(each), "at": at} for each, at in answer.changes.passed])
    if answer.changes.floods:
        told = [asdict(flood) for flood in answer.changes.floods.values()]
        connection.execute(upserts.flood(connection.dialect.name), told)
    if answer.over is not None:
        connection.execute(delete(passed).where(passed.c.at <= answer.over))
    return result


def standing(connection: Connection) -> list[FloodRow]:
    """Every flood, and every source and type of which something is held, oldest first."""
    letter = dead_letters.c
    columns = letter.source, letter.event_type, func.count(), func.min(letter.at)
    waits = and_(letter.state.in_(HELD_BACK), letter.reason == Reason.GUARD_FLOOD)
    held = select(*columns).where(waits).group_by(*columns[:2])
    found = {(source, kind): (count, oldest) for source, kind, count, oldest in connection.execute(held)}
    opened = {flood.key: datetime.fromtimestamp(flood.opened_at, UTC) for flood in _floods(connection)}
    keys = {**opened, **found}
    rows = [FloodRow(*key, *found.get(key, (0, None)), opened.get(key)) for key in keys]
    return sorted(rows, key=lambda row: (row.opened_at or row.oldest_at, row.source, row.event_type))


def end(connection: Connection, keys: Collection[Key]) -> None:
    """Forget these floods."""
    connection.execute(_TURN[connection.dialect.name])
    connection.execute(delete(floods).where(tuple_(floods.c.source, floods.c.event_type).in_(list(keys))))


def _floods(connection: Connection) -> list[Flood]:
    return [Flood(**row._mapping) for row in connection.execute(select(floods))]  # noqa: SLF001 - SQLAlchemy's public way
