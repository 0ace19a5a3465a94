"""Questions about exposure: how long it took to settle what was settled, and how long the rest has been exposed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from tasks.outcome import OPEN, Reason
from worker.database.tables import IS_DEAD, NO_CALL, calls, dead_letters, exposures
from worker.ledger.exposure_counts import BOUNDS, SLOT
from worker.ledger.rows import CLOSED

_SECOND: Final = 1000  # milliseconds


@dataclass(frozen=True, slots=True)
class Settled:
    """Calls of one provider and event type that were exposed for at most so long, and longer than the bound below."""

    provider: str
    event_type: str
    at_most: float  # seconds
    calls: Sequence[int]  # how many, in each of the periods that were asked for


@dataclass(frozen=True, slots=True)
class Exposed:
    """Revocations that are not settled: open and dead calls, units that never became calls, events of a flood."""

    provider: str | None  # None: the whole event waits
    event_type: str
    at_most: float  # seconds since the event, likewise
    calls: int
    oldest_at: datetime  # the time of the oldest event of them
    overdue: Sequence[int]  # how many of them became late, in each of the periods that were asked for


@dataclass(frozen=True, slots=True)
class Slot:
    """Calls that were settled in the time from *begins_at* on, and were exposed for at most so long."""

    begins_at: datetime
    at_most: float  # seconds
    calls: int


def figures(
    connection: sa.Connection, now: datetime, within: float, periods: Sequence[timedelta]
) -> tuple[list[Settled], list[Exposed]]:
    """What was settled in each of *periods* before *now*, and what is exposed at *now*, late after *within* seconds."""
    return _settled(connection, now, periods), _exposed(connection, now, within, periods)


def course(
    connection: sa.Connection, since: datetime, now: datetime, width: timedelta, of: Mapping[str, str]
) -> list[Slot]:
    """What was settled from *since* to *now*, in slots of *width*; *of* limits it to a `provider` and `event_type`."""
    seconds = int(width.total_seconds())
    begins = (exposures.c.slot - exposures.c.slot % seconds).label("begins")
    limits = (exposures.c[name] == value for name, value in of.items())
    rows = connection.execute(
        sa.select(begins, exposures.c.at_most_ms, sa.func.sum(exposures.c.calls))
        .where(exposures.c.slot.between(*_slots(since, now)), *limits)
        .group_by("begins", exposures.c.at_most_ms)
        .order_by("begins", exposures.c.at_most_ms)
    )
    return [Slot(datetime.fromtimestamp(begins, UTC), ms / _SECOND, _told(number)) for begins, ms, number in rows]


def _settled(connection: sa.Connection, now: datetime, periods: Sequence[timedelta]) -> list[Settled]:
    count, longest = exposures.c, max(periods)
    numbers = (_sum(count.slot >= _slots(now - each, now)[0], count.calls) for each in periods)
    asked = sa.select(count.provider, count.event_type, count.at_most_ms, *numbers)
    asked = asked.where(count.slot.between(*_slots(now - longest, now)))
    rows = connection.execute(asked.group_by(count.provider, count.event_type, count.at_most_ms))
    return [Settled(name, kind, ms / _SECOND, tuple(map(_told, each))) for name, kind, ms, *each in rows]


def _told(count: Any) -> int:  # noqa: ANN401 - a number of either database
    """*count*, unless it is below 0: a recorder of release 0.1.0 counts nothing that it writes."""
    return max(0, int(count))


def _slots(since: datetime, now: datetime) -> tuple[int, int]:
    """The slots of that time: the first one may have begun before it. A clock that is ahead is waited for."""
    return int(since.timestamp()) // SLOT * SLOT, int(now.timestamp())


def _exposed(connection: sa.Connection, now: datetime, within: float, periods: Sequence[timedelta]) -> list[Exposed]:
    since = sa.union_all(_open_calls(), _dead_calls(), _unplanned()).subquery().c
    late_at = now - timedelta(seconds=within)
    key = (since.provider, since.event_type, _bound(since.occurred_at, now, BOUNDS).label("at_most_ms"))
    became_late = (
        _sum(sa.and_(since.occurred_at < late_at, since.occurred_at >= late_at - each), 1) for each in periods
    )
    asked = sa.select(*key, sa.func.count(), sa.func.min(since.occurred_at), *became_late)
    rows = connection.execute(asked.group_by(since.provider, since.event_type, "at_most_ms"))
    return [
        Exposed(name, kind, ms / _SECOND, number, oldest_at, tuple(map(int, each)))
        for name, kind, ms, number, oldest_at, *each in rows
    ]


def _bound(at: sa.ColumnElement[datetime], now: datetime, bounds: Sequence[int]) -> sa.ColumnElement[int]:
    """The least of *bounds* that the time since *at* does not exceed, found by halves: there may be many rows."""
    if len(bounds) == 1:
        return sa.literal(bounds[0])
    middle = len(bounds) // 2
    is_young = at >= now - timedelta(milliseconds=bounds[middle - 1])
    return sa.case((is_young, _bound(at, now, bounds[:middle])), else_=_bound(at, now, bounds[middle:]))


def _open_calls() -> sa.Select[Any]:
    return sa.select(*_columns(calls)).where(calls.c.state.in_(sorted(OPEN)))


def _dead_calls() -> sa.Select[Any]:
    return sa.select(*_columns(calls)).where(IS_DEAD)


def _unplanned() -> sa.Select[Any]:
    """What is authorised and became no call yet. A refused event is none of it: anybody may send one."""
    letter = dead_letters.c
    is_authorised = sa.or_(letter.kind == "unit", letter.reason == Reason.GUARD_FLOOD)
    told = (letter.event_type.is_not(None), letter.occurred_at.is_not(None))
    return sa.select(*_columns(dead_letters)).where(NO_CALL, letter.state.not_in(CLOSED), is_authorised, *told)


def _columns(table: sa.Table) -> Iterable[sa.Column[Any]]:
    return (table.c[name] for name in ("provider", "event_type", "occurred_at"))


def _sum(condition: sa.ColumnElement[bool], value: Any) -> sa.ColumnElement[Any]:  # noqa: ANN401 - a column or a number
    return sa.func.sum(sa.case((condition, value), else_=0))
