"""Questions to the ledger: where an event or a subject stands, how a provider answered, what is new."""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from tasks.doubt import DIED, KNOWS_LIVING, WINDOW, TokenAnswer
from tasks.outcome import OPEN, State
from worker.database.tables import calls, dead_letters, events, subjects
from worker.ledger.rows import CallRow, DeadLetterState, EventRow

UNREPLAYED: Final = (DeadLetterState.DEAD, DeadLetterState.CLAIMED)
_IDS_PER_STATEMENT: Final = 1000  # SQLite's limit is 32 766 parameters, PostgreSQL's 65 535
_MAX_ANSWERS: Final = 1000  # far more than prove or disprove anything

Condition = Callable[[sa.Table], sa.ColumnElement[bool]]


def of_event(connection: sa.Connection, event_id: str, source: str | None = None) -> list[CallRow]:
    """Where every part of an event stands, refused ones included; *source* None: of any source."""
    names = {"event_id": event_id} | ({} if source is None else {"source": source})
    return _by_age(connection, lambda table: sa.and_(*(table.c[name] == value for name, value in names.items())))


def of_subject(connection: sa.Connection, *lookup_hashes: str) -> list[CallRow]:
    """Where everything stands that one of *lookup_hashes* finds, oldest event first."""
    return _by_age(connection, lambda table: about(lookup_hashes, table))


def about(lookup_hashes: Collection[str], table: sa.Table) -> sa.ColumnElement[bool]:
    """Whether a row of *table* is of an event found by one of them: from the hash, whatever the table's size."""
    theirs = sa.select(subjects.c.event_id, subjects.c.source).where(subjects.c.lookup_hash.in_(lookup_hashes))
    return sa.tuple_(table.c.event_id, table.c.source).in_(theirs)


def alike(connection: sa.Connection, *, target: str | None = None, person: str | None = None) -> list[CallRow]:
    """The calls that hit *target*, or whose events give *person* exactly these names (keyed hashes)."""
    wanted = [calls.c[name] == key for name, key in (("target", target), ("person", person)) if key]
    return _rows(connection, _calls_where(sa.or_(sa.false(), *wanted)))


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
    found += _calls_and_letters(connection, lambda table: table.c.change > cursor, limit)
    rows = sorted(found, key=lambda row: row.change)[:limit]
    return rows, rows[-1].change if rows else cursor


def answers_around(connection: sa.Connection, provider: str, at: datetime) -> list[TokenAnswer]:
    """The last proof of a living token before *at*, the first one after, and who was dead already between them."""
    near = sa.and_(calls.c.provider == provider, calls.c.at.between(at - WINDOW, at + WINDOW))
    is_proof = sa.and_(near, calls.c.state.in_(KNOWS_LIVING))
    before = connection.execute(sa.select(sa.func.max(calls.c.at)).where(is_proof, calls.c.at <= at)).scalar()
    after = connection.execute(sa.select(sa.func.min(calls.c.at)).where(is_proof, calls.c.at > at)).scalar()
    proofs = [TokenAnswer(proof, "", State.ACCEPTED) for proof in (before, after) if proof is not None]
    return [*proofs, *_dead_already(connection, near, before, after)]


def _dead_already(
    connection: sa.Connection, near: sa.ColumnElement[bool], before: datetime | None, after: datetime | None
) -> list[TokenAnswer]:
    bounds = [calls.c.at >= before] if before else []
    bounds += [calls.c.at <= after] if after else []
    columns = (calls.c[name] for name in ("at", "person", "target", "call_id", "detail"))
    found = sa.select(*columns).where(near, calls.c.state == State.ALREADY_REVOKED, *bounds).limit(_MAX_ANSWERS)
    return [
        TokenAnswer(it.at, it.person or it.target or it.call_id, State.ALREADY_REVOKED, DIED in json.loads(it.detail))
        for it in connection.execute(found)
    ]


def _planned_and_done(source: str, ids: Sequence[str]) -> sa.Select[Any]:
    same_event = sa.and_(calls.c.source == events.c.source, calls.c.event_id == events.c.event_id)
    is_open = sa.exists().where(same_event, calls.c.state.in_(OPEN))
    return sa.select(events.c.event_id).where(events.c.source == source, events.c.event_id.in_(ids), ~is_open)


def _refused(source: str, ids: Sequence[str]) -> sa.Select[Any]:
    letter = dead_letters.c
    is_known = letter.state.in_((*UNREPLAYED, DeadLetterState.DISCARDED))
    theirs = sa.and_(letter.source == source, letter.event_id.in_(ids), letter.kind == "event")
    return sa.select(letter.event_id).where(theirs, is_known)


def _by_age(connection: sa.Connection, condition: Condition) -> list[CallRow]:
    return sorted(_calls_and_letters(connection, condition), key=_age)


def _age(row: CallRow) -> tuple[object, ...]:
    return (row.occurred_at is None, row.occurred_at, row.event_id or "", row.provider or "", row.call_id or "")


def _calls_and_letters(connection: sa.Connection, condition: Condition, limit: int | None = None) -> list[CallRow]:
    """The calls, and the dead letters of no call, for which *condition* holds; *limit* of each, first changed first."""
    found = _calls_where(condition(calls)).order_by(calls.c.change).limit(limit)
    letters = _letters_where(condition(dead_letters)).order_by(dead_letters.c.change).limit(limit)
    return [*_rows(connection, found), *_rows(connection, letters)]


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
