"""What is asked of the ledger: where an event or a subject stands, totals, what is open, what is new."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Table, and_, case, exists, false, func, literal, null, or_, select, tuple_

from tasks.outcome import State
from worker.database.tables import calls, dead_letters, events, subjects
from worker.ledger.rows import CallRow, DeadLetterState, EventRow, Totals

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

OPEN: Final = (State.PLANNED, State.RETRYING, State.HELD, State.REPLAYED)
UNREPLAYED: Final = (DeadLetterState.DEAD, DeadLetterState.CLAIMED)
_AT_ONCE: Final = 1000  # ids in one statement

Condition = Callable[[Table], ColumnElement[bool]]


def of_event(connection: Connection, event_id: str, source: str | None) -> list[CallRow]:
    """Where every part of an event stands; *source* None: of any source."""
    return _standing(
        connection,
        lambda table: and_(table.c.event_id == event_id, *([] if source is None else [table.c.source == source])),
    )


def of_subject(connection: Connection, lookup_hashes: Collection[str]) -> list[CallRow]:
    """Where everything stands that one of *lookup_hashes* finds, oldest event first."""
    return _standing(connection, lambda table: about(lookup_hashes, table))


def about(lookup_hashes: Collection[str], table: Table) -> ColumnElement[bool]:
    """Whether a row of *table* is of an event found by one of them: from the hash, whatever the table's size."""
    theirs = select(subjects.c.event_id, subjects.c.source).where(subjects.c.lookup_hash.in_(lookup_hashes))
    return tuple_(table.c.event_id, table.c.source).in_(theirs)


def alike(connection: Connection, target: str | None, person: str | None) -> list[CallRow]:
    """The calls that hit *target*, or whose events give *person* exactly these names."""
    wanted = or_(false(), *(calls.c[name] == key for name, key in (("target", target), ("person", person)) if key))
    return [_call_row(row._mapping) for row in connection.execute(_call_lines(wanted))]  # noqa: SLF001 - as below


def unsettled(connection: Connection, limit: int | None) -> list[CallRow]:
    """The calls that are neither settled nor dead, oldest event first."""
    query = _call_lines(calls.c.state.in_(OPEN)).order_by(calls.c.occurred_at, calls.c.call_id).limit(limit)
    return [_call_row(row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public way


def closed(connection: Connection, source: str, event_ids: Collection[str]) -> set[str]:
    """Those of *event_ids* that are done: planned with no call open, or refused and on the operators' desk."""
    ids, found = list(event_ids), set[str]()
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        found.update(connection.execute(_planned_and_done(source, some)).scalars())
        found.update(connection.execute(_refused(source, some)).scalars())
    return found


def totals(connection: Connection) -> Totals:
    """The ledger in figures."""
    by_state = select(calls.c.state, func.count()).group_by(calls.c.state)
    unreplayed = dead_letters.c.state.in_(UNREPLAYED)
    by_reason = select(dead_letters.c.reason, func.count()).where(unreplayed).group_by(dead_letters.c.reason)
    return Totals(
        events=connection.execute(select(func.count()).select_from(events)).scalar_one(),
        calls={State(state): count for state, count in connection.execute(by_state)},
        dead_letters={reason: count for reason, count in connection.execute(by_reason)},  # noqa: C416 - rows, not pairs
        exposure_seconds=_percentiles(connection, (50, 95, 99)),
    )


def changes(connection: Connection, cursor: int, limit: int) -> tuple[list[CallRow | EventRow], int]:
    """At most *limit* events and calls new or changed since *cursor*, in order, and the cursor for the next time."""
    new_events = select(events).where(events.c.change > cursor).order_by(events.c.change).limit(limit)
    news: list[CallRow | EventRow] = [EventRow(**row._mapping) for row in connection.execute(new_events)]  # noqa: SLF001
    news += _lines(connection, lambda table: table.c.change > cursor, limit)
    rows = sorted(news, key=lambda row: row.change)[:limit]
    return rows, rows[-1].change if rows else cursor


def _percentiles(connection: Connection, ranks: tuple[int, ...]) -> dict[str, float | None]:
    """Nearest rank, found by the database: the ledger's size never fills memory."""
    settled = calls.c.exposure_seconds.is_not(None)
    count = connection.execute(select(func.count()).select_from(calls).where(settled)).scalar_one()
    sorted_exposures = select(calls.c.exposure_seconds).where(settled).order_by(calls.c.exposure_seconds).limit(1)

    def at(rank: int) -> float | None:
        offset = max(0, math.ceil(count * rank / 100) - 1)
        return connection.execute(sorted_exposures.offset(offset)).scalar()

    return {f"p{rank}": at(rank) for rank in ranks}


def _planned_and_done(source: str, ids: list[str]) -> Select[Any]:
    same_event = and_(calls.c.source == events.c.source, calls.c.event_id == events.c.event_id)
    is_open = exists().where(same_event, calls.c.state.in_(OPEN))
    return select(events.c.event_id).where(events.c.source == source, events.c.event_id.in_(ids), ~is_open)


def _refused(source: str, ids: list[str]) -> Select[Any]:
    letter = dead_letters.c
    desk = or_(letter.state.in_(UNREPLAYED), letter.state == DeadLetterState.DISCARDED)
    return select(letter.event_id).where(
        letter.source == source, letter.event_id.in_(ids), letter.kind == "event", desk
    )


def _standing(connection: Connection, condition: Condition) -> list[CallRow]:
    return sorted(_lines(connection, condition), key=_age)


def _age(row: CallRow) -> tuple[object, ...]:
    return (row.occurred_at is None, row.occurred_at, row.event_id or "", row.provider or "", row.call_id or "")


def _lines(connection: Connection, condition: Condition, limit: int | None = None) -> list[CallRow]:
    """The calls and the dead letters of no call for which *condition* holds; *limit* of each, first changed first."""
    kinds = (_call_lines(condition(calls)), calls), (_letter_lines(condition(dead_letters)), dead_letters)
    parts = (connection.execute(lines.order_by(table.c.change).limit(limit)) for lines, table in kinds)
    return [_call_row(row._mapping) for rows in parts for row in rows]  # noqa: SLF001 - SQLAlchemy's public way


_SAME: Final = ("source", "event_id", "event_type", "provider", "operation", "subject", "occurred_at", "reason")
_ALIKE: Final = (*_SAME, "detail", "replays", "at", "call_id", "change", "target", "person")


def _call_lines(condition: ColumnElement[bool]) -> Select[Any]:
    joined = calls.outerjoin(dead_letters, dead_letters.c.call_id == calls.c.call_id)
    own = ("state", "attempt", "next_attempt_at", "duration_ms", "exposure_seconds")
    return (
        select(
            *(calls.c[name] for name in (*_ALIKE, *own)),
            literal("call").label("kind"),
            dead_letters.c.dead_letter_id,
        )
        .select_from(joined)
        .where(condition)
    )


def _letter_lines(condition: ColumnElement[bool]) -> Select[Any]:
    """Dead letters that are no call's: units and events that were refused, messages that were none."""
    letter = dead_letters.c
    states = {DeadLetterState.CLAIMED: State.DEAD, DeadLetterState.WITHHELD: State.HELD}
    return select(
        *(letter[name] for name in _ALIKE),
        case(states, value=letter.state, else_=letter.state).label("state"),
        letter.tries.label("attempt"),
        *(null().label(name) for name in ("next_attempt_at", "duration_ms", "exposure_seconds")),
        letter.kind,
        letter.dead_letter_id,
        letter.claimed_at,
    ).where(letter.kind != "call", condition)


def _call_row(row: Any) -> CallRow:  # noqa: ANN401 - a row's mapping
    return CallRow(**dict(row) | {"state": State(row["state"]), "detail": json.loads(row["detail"])})
