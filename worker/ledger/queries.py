"""Questions to the ledger: where an event or a subject stands, how a provider answered, what is new."""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa

from tasks.outcome import OPEN, SETTLED, SPARED, State
from worker.database.tables import attempts, calls, clock, dead_letters, events, subjects
from worker.ledger.rows import AttemptRow, CallRow, DeadLetterState, EventRow

UNREPLAYED: Final = (DeadLetterState.DEAD, DeadLetterState.CLAIMED)
_IDS_PER_STATEMENT: Final = 1000  # SQLite's limit is 32 766 parameters, PostgreSQL's 65 535

# Settled beyond doubt, whatever the instance answers to others.
SURE: Final = SETTLED - SPARED - {State.ALREADY_REVOKED}
CERTAINTY: Final = sa.case((calls.c.state.in_(SURE), 2), (calls.c.state == State.ALREADY_REVOKED, 1), else_=0)
Condition = Callable[[sa.Table], sa.ColumnElement[bool]]


def of_event(
    connection: sa.Connection, event_id: str, source: str | None = None, limit: int | None = None
) -> list[CallRow]:
    """Where every part of an event stands, refused ones included; *source* None: of any source. *limit* as below."""
    names = {"event_id": event_id} | ({} if source is None else {"source": source})
    return _by_age(connection, lambda table: sa.and_(*(table.c[name] == value for name, value in names.items())), limit)


def about(lookup_hashes: Collection[str], table: sa.Table) -> sa.ColumnElement[bool]:
    """Whether a row of *table* is of an event found by one of them: from the hash, whatever the table's size."""
    theirs = sa.select(subjects.c.event_id, subjects.c.source).where(subjects.c.lookup_hash.in_(lookup_hashes))
    return sa.tuple_(table.c.event_id, table.c.source).in_(theirs)


def of_call(connection: sa.Connection, call_id: str) -> list[CallRow]:
    """Where the call with this id stands; nothing where there is none."""
    return _rows(connection, _calls_where(calls.c.call_id == call_id))


def alike(connection: sa.Connection, *, target: str | None = None, person: str | None = None) -> list[CallRow]:
    """The calls that hit *target*, or whose events give *person* exactly these names (keyed hashes)."""
    wanted = [calls.c[name] == key for name, key in (("target", target), ("person", person)) if key]
    return _rows(connection, _calls_where(sa.or_(sa.false(), *wanted)))


def failed_attempts(connection: sa.Connection, call_ids: Collection[str]) -> list[AttemptRow]:
    """The attempts that failed at these calls, each call's in their order."""
    order = (attempts.c.call_id, attempts.c.replays, attempts.c.number)
    found = (
        sa.select(attempts).where(attempts.c.call_id.in_(batch)).order_by(*order) for batch in batches([*call_ids])
    )
    return [
        AttemptRow(**{**row, "detail": json.loads(row["detail"])})
        for each in found
        for row in connection.execute(each).mappings()
    ]


def closed(connection: sa.Connection, source: str, event_ids: Collection[str]) -> set[str]:
    """Those of *event_ids* that are done: planned with no call open, or refused and known to the operators."""
    found = set[str]()
    for batch in batches(list(event_ids)):
        found.update(connection.execute(_planned_and_done(source, batch)).scalars())
        found.update(connection.execute(_refused(source, batch)).scalars())
    return found


def batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """*ids*, as many at a time as one statement takes."""
    return (ids[start : start + _IDS_PER_STATEMENT] for start in range(0, len(ids), _IDS_PER_STATEMENT))


def changes(connection: sa.Connection, cursor: int = 0, limit: int = 500) -> tuple[list[CallRow | EventRow], int]:
    """At most *limit* events and calls new or changed since *cursor*, in order, and the cursor for the next time."""
    new_events = sa.select(events).where(events.c.change > cursor).order_by(events.c.change).limit(limit)
    found: list[CallRow | EventRow] = [EventRow(**row) for row in connection.execute(new_events).mappings()]
    new_calls = _calls_where(calls.c.change > cursor).order_by(calls.c.change).limit(limit)
    letters = _letters_where(dead_letters.c.change > cursor).order_by(dead_letters.c.change).limit(limit)
    found += [*_rows(connection, new_calls), *_rows(connection, letters)]
    rows = sorted(found, key=lambda row: row.change)[:limit]
    return rows, rows[-1].change if rows else cursor


def newest_change(connection: sa.Connection) -> int:
    """The number of the last change of events, calls and dead letters: it rises with each."""
    return int(connection.execute(sa.select(clock.c.value)).scalar_one())


def _planned_and_done(source: str, ids: Sequence[str]) -> sa.Select[Any]:
    same_event = sa.and_(calls.c.source == events.c.source, calls.c.event_id == events.c.event_id)
    is_open = sa.exists().where(same_event, calls.c.state.in_(OPEN))
    return sa.select(events.c.event_id).where(events.c.source == source, events.c.event_id.in_(ids), ~is_open)


def _refused(source: str, ids: Sequence[str]) -> sa.Select[Any]:
    letter = dead_letters.c
    is_known = letter.state.in_((*UNREPLAYED, DeadLetterState.DISCARDED))
    theirs = sa.and_(letter.source == source, letter.event_id.in_(ids), letter.kind == "event")
    return sa.select(letter.event_id).where(theirs, is_known)


def _by_age(connection: sa.Connection, condition: Condition, limit: int | None) -> list[CallRow]:
    found = _calls_where(condition(calls)).order_by(CERTAINTY, calls.c.change.desc()).limit(limit)
    return in_order([*_rows(connection, found), *letter_rows(connection, condition(dead_letters), limit)])


def call_rows(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[CallRow]:
    """The calls for which *condition* holds."""
    return _rows(connection, _calls_where(condition))


def letter_rows(connection: sa.Connection, condition: sa.ColumnElement[bool], limit: int | None) -> list[CallRow]:
    """The dead letters of no call for which *condition* holds: at most *limit*, which changed last."""
    found = _letters_where(condition).order_by(dead_letters.c.change.desc()).limit(limit)
    return _rows(connection, found)


def in_order(rows: Sequence[CallRow]) -> list[CallRow]:
    """*rows*, the oldest event first."""
    return sorted(rows, key=_age)


def _age(row: CallRow) -> tuple[object, ...]:
    return (row.occurred_at is None, row.occurred_at, row.event_id or "", row.provider or "", row.call_id or "")


# The columns that calls and dead letters share, and those of a call alone.
_SHARED: Final = (
    *("source", "event_id", "event_type", "provider", "operation", "subject", "occurred_at", "reason", "detail"),
    *("replays", "at", "call_id", "change", "target", "person"),
)
_OF_A_CALL: Final = ("next_attempt_at", "duration_ms", "exposure_seconds")


def _calls_where(condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    columns = (calls.c[name] for name in (*_SHARED, *_OF_A_CALL, "state", "attempt"))
    joined = calls.outerjoin(dead_letters, dead_letters.c.call_id == calls.c.call_id)
    found = sa.select(*columns, sa.literal("call").label("kind"), dead_letters.c.dead_letter_id).select_from(joined)
    return found.where(condition)


def _letters_where(condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Dead letters that are no call's: units and events that were refused, messages that were none."""
    letter = dead_letters.c
    states = {DeadLetterState.CLAIMED: State.DEAD, DeadLetterState.WITHHELD: State.HELD}
    return sa.select(
        *(letter[name] for name in _SHARED),
        *(sa.null().label(name) for name in _OF_A_CALL),
        sa.case(states, value=letter.state, else_=letter.state).label("state"),
        letter.tries.label("attempt"),
        letter.kind,
        letter.dead_letter_id,
        letter.claimed_at,
    ).where(letter.kind != "call", condition)


def _rows(connection: sa.Connection, found: sa.Select[Any]) -> list[CallRow]:
    return [
        CallRow(**{**row, "state": State(row["state"]), "detail": json.loads(row["detail"])})
        for row in connection.execute(found).mappings()
    ]
