"""What the ledger forgets, and when: in small steps, and never what an operator has yet to look at."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Self

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    tuple_,
    union,
)

from tasks.outcome import SETTLED, State
from worker.database.engine import Database
from worker.database.tables import attempts, audit_entries, audits, bodies, calls, dead_letters, events, subjects
from worker.database.writing import take_changes
from worker.ledger import exposure_counts, jobs
from worker.ledger.audit_chain import forget_older, micros
from worker.ledger.old_rows import OldRows, Pair
from worker.ledger.rows import CLOSED, DeadLetterState
from worker.settings.sections import StorageSettings

logger = logging.getLogger(__name__)

REST_SECONDS: Final = 600.0  # seconds until it is looked again for what is old, once there is nothing left
RETRY_SECONDS: Final = 60.0  # seconds, where the ledger is away
BATCH_SIZE: Final = 500  # rows that are looked at together
PIECE_SIZE: Final = 25  # rows that are removed together
STEP_SECONDS: Final = 0.05  # after that no piece is begun in a transaction: other writers wait for its end
_OVER: Final = (*sorted(SETTLED), State.DISCARDED)


@dataclass(frozen=True, slots=True)
class Horizons:
    """What is over since before these times is forgotten."""

    events: datetime  # with their calls, since the last of them was settled or discarded
    letters: datetime  # replayed or discarded
    audits: datetime
    exposures: datetime  # of the slots in which they are counted
    closed: tuple[DeadLetterState, ...] = CLOSED  # which letters
    jobs: datetime | None = None  # whatever became of them; None: as letters

    @classmethod
    def of(cls, storage: StorageSettings, now: datetime) -> Self:
        """What is old at *now*."""
        days = (storage.events_days, storage.letters_days, storage.audit_days, exposure_counts.KEPT_DAYS)
        events, letters, audits, exposures = (now - timedelta(days=each) for each in days)
        return cls(events, letters, audits, exposures)


@dataclass(frozen=True, slots=True)
class Old:
    """How much there is to be forgotten."""

    events: int
    letters: int


class Tidying:
    """Has the ledger forget what is old, a step at a time: writers wait for one step at most."""

    def __init__(self, forget: Callable[[Horizons], Iterator[int]], storage: StorageSettings) -> None:
        self._forget, self._storage = forget, storage
        self._steps: Iterator[int] | None = None
        self._removed = 0
        self._next_step = 0.0

    def step(self) -> None:
        """Do the next step, if it is time. Raises LedgerUnavailable, and then rests."""
        if time.monotonic() < self._next_step:
            return
        self._next_step = time.monotonic() + RETRY_SECONDS
        steps = self._steps or self._forget(Horizons.of(self._storage, datetime.now(UTC)))
        self._steps = None  # one that fails is over
        if (removed := next(steps, None)) is not None:
            self._steps, self._next_step = steps, 0.0
            self._removed += removed
            return
        self._next_step = time.monotonic() + REST_SECONDS
        if self._removed:
            logger.info("ledger.tidied", extra={"rows": self._removed})
            self._removed = 0


def forget(database: Database, horizons: Horizons) -> Iterator[int]:
    """Remove what is old, a step at a time, each at most a small transaction; yield how many rows each removed.

    A step goes on from where the last one ended: what is kept, however much and old, is looked at once, and while no
    writer waits. Raises LedgerUnavailable, and is over then.
    """
    for kind in _kinds(horizons):
        for old in kind.pages(database):
            yield from _remove(database, kind, old) if old else (0,)
    while gone := _by_age(database, horizons):
        yield gone


def _remove(database: Database, kind: OldRows, old: Sequence[Row[Any]]) -> Iterator[int]:
    """Remove those of *old* that are still old, in transactions that end soon; yield how many rows each removed."""
    left = deque(old[start : start + PIECE_SIZE] for start in range(0, len(old), PIECE_SIZE))
    while left:
        removed, began = 0, time.monotonic()
        with database.writing() as connection:
            take_changes(connection, 0)
            while left and (not removed or time.monotonic() - began < STEP_SECONDS):
                pairs = kind.remove(connection, left.popleft())
                _subjects(connection, pairs)
                removed += len(pairs)
        yield removed


def _kinds(horizons: Horizons) -> Iterator[OldRows]:
    """Letters, then events, then the calls whose event the ledger does not have; by state, as the indexes have them."""
    letter, horizon = dead_letters.c, horizons.events
    kept, remove = ~_is_old(horizons), partial(_letters, horizons)
    for closed in horizons.closed:
        where = and_(letter.state == closed, letter.at < horizons.letters)
        yield OldRows(dead_letters, letter.at, where, kept, remove, BATCH_SIZE)
    received = events.c.received_at
    gone = partial(_events, events, horizon)
    yield OldRows(events, received, received < horizon, _is_kept(events, horizon), gone, BATCH_SIZE)
    for state in _OVER:
        where = and_(calls.c.state == state, calls.c.at < horizon)
        yield OldRows(calls, calls.c.at, where, _is_kept(calls, horizon), partial(_events, calls, horizon), BATCH_SIZE)


def _by_age(database: Database, horizons: Horizons) -> int:
    """Remove some of what its age alone makes old; return how many rows."""
    with database.writing() as connection:
        take_changes(connection, 0)
        old = select(audits.c.audit_id).where(audits.c.at < horizons.audits).order_by(audits.c.at).limit(BATCH_SIZE)
        gone = connection.execute(delete(audits).where(audits.c.audit_id.in_(old))).rowcount
        gone += forget_older(connection, horizons.audits, BATCH_SIZE)
        gone += exposure_counts.forget(connection, horizons.exposures, BATCH_SIZE)
        return gone + jobs.forget(connection, horizons.jobs or horizons.letters, BATCH_SIZE)


def count_old(connection: Connection, horizons: Horizons) -> Old:
    """Return how many events and letters `forget` would remove in all its steps. It reads whatever is old."""
    over = union(*_over(horizons.events)).subquery()
    counted = (over, select(dead_letters.c.dead_letter_id).where(_is_old(horizons)).subquery())
    return Old(*(connection.execute(select(func.count()).select_from(each)).scalar_one() for each in counted))


def _is_old(horizons: Horizons) -> ColumnElement[bool]:
    """Whether a letter died, and was closed by an operator, before the horizon."""
    letter, horizon = dead_letters.c, horizons.letters
    acted = or_(
        exists().where(audit_entries.c.audit_id == letter.audit_id, audit_entries.c.at >= micros(horizon)),
        exists().where(audits.c.audit_id == letter.audit_id, audits.c.at >= horizon),
    )
    is_unclaimed = or_(letter.claimed_at.is_(None), letter.claimed_at < horizon)
    return and_(letter.state.in_(horizons.closed), letter.at < horizon, ~acted, is_unclaimed)


def _letters(horizons: Horizons, connection: Connection, rows: Sequence[Row[Any]]) -> list[Pair]:
    """Remove these letters, with what no other keeps; return their events."""
    letter = dead_letters.c
    asked = select(letter.dead_letter_id, _is_old(horizons).label("is_old"))  # by id, not by the state all others have
    some = connection.execute(asked.where(letter.dead_letter_id.in_([row.dead_letter_id for row in rows]))).all()
    these = letter.dead_letter_id.in_([row.dead_letter_id for row in some if row.is_old])
    gone = delete(dead_letters).where(these).returning(letter.source, letter.event_id, letter.body)
    found = connection.execute(gone).all()
    kept = exists().where(letter.body == bodies.c.digest)
    connection.execute(delete(bodies).where(bodies.c.digest.in_([row.body for row in found if row.body]), ~kept))
    return [(row.source, row.event_id) for row in found]


def _events(table: Table, horizon: datetime, connection: Connection, rows: Sequence[Row[Any]]) -> list[Pair]:
    """Remove the events of these rows of *table*, with all their calls; return them."""
    found = select(table.c.source, table.c.event_id).where(~_is_kept(table, horizon)).distinct()
    asked = [*dict.fromkeys((row.source, row.event_id) for row in rows)]
    pairs: list[Pair] = [(row.source, row.event_id) for row in _each(connection, found, table, asked)]
    for theirs in _of(calls, pairs):
        tried = select(calls.c.call_id).where(theirs)
        connection.execute(delete(attempts).where(attempts.c.call_id.in_(tried)))
    for each in (calls, events):
        _delete(connection, each, pairs)
    return pairs


def _each(connection: Connection, found: Select[Any], table: Table, pairs: Sequence[Pair]) -> Iterator[Row[Any]]:
    for theirs in _of(table, pairs):
        yield from connection.execute(found.where(theirs))


def _over(horizon: datetime) -> tuple[Select[Any], Select[Any]]:
    """Events that are over since before *horizon*: those that the ledger has, and those of its calls."""
    by_age = select(events.c.source, events.c.event_id).where(events.c.received_at < horizon)
    by_call = select(calls.c.source, calls.c.event_id).where(calls.c.state.in_(_OVER), calls.c.at < horizon)
    return by_age.where(~_is_kept(events, horizon)), by_call.where(~_is_kept(calls, horizon))


def _is_kept(table: Table, horizon: datetime) -> ColumnElement[bool]:
    """Whether something about the event of *table*'s row is yet to be kept."""
    call, letter, event = calls.alias(), dead_letters.alias(), events.alias()
    is_young = or_(call.c.state.not_in(_OVER), call.c.at >= horizon)
    return or_(
        exists().where(_same(call, table), is_young),
        exists().where(_same(letter, table), letter.c.state.not_in(CLOSED)),
        exists().where(_same(event, table), event.c.received_at >= horizon),
    )


def _same(one: Any, other: Any) -> ColumnElement[bool]:  # noqa: ANN401 - tables and their aliases
    return and_(one.c.event_id == other.c.event_id, one.c.source == other.c.source)


def _subjects(connection: Connection, pairs: Sequence[Pair]) -> None:
    """Remove the names of people without a row."""
    is_named = or_(*(exists().where(_same(table, subjects)) for table in (calls, events, dead_letters)))
    _delete(connection, subjects, pairs, ~is_named)


def _delete(connection: Connection, table: Table, pairs: Sequence[Pair], *conditions: ColumnElement[bool]) -> None:
    for theirs in _of(table, pairs):
        connection.execute(delete(table).where(theirs, *conditions))


def _of(table: Table, pairs: Sequence[Pair]) -> Iterator[ColumnElement[bool]]:
    """Whether a row of *table* is of one of these events: of as many at a time as one statement takes."""
    wanted = [(event, source) for source, event in pairs if source is not None and event is not None]
    for start in range(0, len(wanted), BATCH_SIZE):
        some = wanted[start : start + BATCH_SIZE]
        ids = table.c.event_id.in_([event for event, _ in some])  # SQLite finds no pairs in an index, but reads it all
        yield and_(ids, tuple_(table.c.event_id, table.c.source).in_(some))
