"""Statements that make the order and the number of deliveries irrelevant: the row of highest rank stays.

Sent with a list of rows, each is one prepared statement: SQLite runs it in process, psycopg pipelines it, so a batch
costs one round trip (https://www.psycopg.org/psycopg3/docs/advanced/pipeline.html).
"""

from functools import cache, partial
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, and_, bindparam, case, func, not_, or_

from worker.database.columns import UtcTime, Words
from worker.database.tables import attempts, bodies, calls, dead_letters, events, subjects
from worker.database.writing import Insert, insert_into
from worker.ledger.rows import CLOSED, DeadLetterState

_NEVER: Final = 1e300  # seconds: later than any exposure


@cache
def event(dialect: str) -> Insert:
    """An event has one row; recorded again, its earliest arrival stays."""
    insert = insert_into(events, dialect)
    earlier = insert.excluded.received_at < events.c.received_at
    return insert.on_conflict_do_update(
        index_elements=[events.c.source, events.c.event_id],
        set_={"received_at": insert.excluded.received_at, "change": insert.excluded.change},
        where=earlier,
    )


@cache
def _kept(table: Table, dialect: str) -> Insert:
    """A row that is the same however often it is recorded."""
    return insert_into(table, dialect).on_conflict_do_nothing()


subject, body = partial(_kept, subjects), partial(_kept, bodies)
_CONSTANT: Final = ("kid", "target", "person")  # the same in every record that has it
_MERGED_APART: Final = {"call_id", "exposure_seconds", "change", *_CONSTANT}


@cache
def call(dialect: str) -> Insert:
    """The record of highest rank describes the call; its exposure ended with the first that settled it.

    Not every record has the sealing key, the target and the person: the first that has them counts.
    """
    insert = insert_into(calls, dialect)
    new = insert.excluded
    newer, sooner = new.rank > calls.c.rank, new.exposure_seconds < func.coalesce(calls.c.exposure_seconds, _NEVER)
    completes = or_(*(and_(calls.c[name].is_(None), new[name].is_not(None)) for name in _CONSTANT))
    return insert.on_conflict_do_update(
        index_elements=[calls.c.call_id],
        set_={
            **_where(newer, insert, calls, set(calls.c.keys()) - _MERGED_APART),
            **_where(sooner, insert, calls, {"exposure_seconds"}),
            **{name: func.coalesce(calls.c[name], new[name]) for name in _CONSTANT},
            "change": new.change,
        },
        where=or_(newer, sooner, completes),
    )


@cache
def attempt(dialect: str) -> Insert:
    """A failed attempt has one row: of several records the earliest tells it, and the first that has a duration."""
    insert = insert_into(attempts, dialect)
    new, old = insert.excluded, attempts.c
    earlier, completes = new.at < old.at, and_(old.duration_ms.is_(None), new.duration_ms.is_not(None))
    return insert.on_conflict_do_update(
        index_elements=[old.call_id, old.replays, old.number],
        set_={
            **_where(earlier, insert, attempts, {"at", "reason", "detail"}),
            "duration_ms": func.coalesce(old.duration_ms, new.duration_ms),
        },
        where=or_(earlier, completes),
    )


_FIRST: Final = {"first_reason", "first_at", "first_rank"}
_IDENTITY: Final = {"dead_letter_id", "audit_id", "change"}  # the audit id tells who acted last, and stays
_GENERATION: Final = {"replays", "rank"}
DIED_BEFORE: Final = "died_before"
GENERATION_DIGITS: Final = 8  # a rank begins with them


@cache
def dead_letter(dialect: str) -> Insert:
    """The last death describes the dead letter, the first one is kept beside it.

    An operator's claim, replay or discard gives way to a later generation. What is closed (replayed or discarded) is
    opened by a new message that is the same as before, too: its sender sent it once more, which must leave a
    trace. The parameter DIED_BEFORE keeps a late copy from that: a letter opens what last died before that time.
    The generation stays the highest, so that no death of an earlier replay describes what was opened again.
    """
    insert = insert_into(dead_letters, dialect)
    new, old = insert.excluded, dead_letters.c
    outranks, is_later = new.rank > old.rank, new.replays > old.replays
    newer = or_(and_(outranks, or_(old.state == DeadLetterState.DEAD, is_later)), _is_opened())
    earlier = new.first_rank < old.first_rank
    generation = func.substr(old.rank, 1, GENERATION_DIGITS, type_=Words())
    rank = generation.concat(func.substr(new.rank, GENERATION_DIGITS + 1))
    return insert.on_conflict_do_update(
        index_elements=[old.dead_letter_id],
        set_={
            **_where(newer, insert, dead_letters, set(old.keys()) - _FIRST - _IDENTITY - _GENERATION),
            **_where(earlier, insert, dead_letters, _FIRST),
            "replays": case((and_(newer, is_later), new.replays), else_=old.replays),
            "rank": case((not_(newer), old.rank), (outranks, new.rank), else_=rank),
            "change": new.change,
        },
        where=or_(newer, earlier),
    )


def _is_opened() -> ColumnElement[bool]:
    is_closed = or_(*(dead_letters.c.state == state for state in CLOSED))  # IN cannot be prepared for many rows
    return and_(is_closed, dead_letters.c.at < bindparam(DIED_BEFORE, type_=UtcTime))


def _where(condition: ColumnElement[bool], insert: Insert, table: Table, columns: set[str]) -> dict[str, Any]:
    return {name: case((condition, insert.excluded[name]), else_=table.c[name]) for name in sorted(columns)}
