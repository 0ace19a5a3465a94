"""Counts of exposures: how long the calls were exposed that were settled in each five minutes.

They are made while calls are recorded, so that a week of a million calls is told by some ten thousand rows.
"""

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import ARRAY, Connection, Select, Text, any_, bindparam, delete, func, select, tuple_

from worker.database.tables import calls, exposures
from worker.database.writing import Insert, insert_all, insert_into

SLOT: Final = 300  # seconds
KEPT_DAYS: Final = 8  # nobody is told of more than a week
_STEPS: Final = (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8)  # in a tenfold: each is at most a third above the one below
_SECOND, _MINUTE, _HOUR, _DAY = 1000, 60_000, 3_600_000, 86_400_000  # milliseconds

Place = tuple[int, str, str, int]  # the key of a row of `exposures`


def _bounds() -> Iterator[int]:
    """Round numbers of milliseconds and seconds, of minutes, of hours, and of days up to a thousand."""
    for unit, below in ((1, _MINUTE), (_MINUTE, _HOUR), (_HOUR, _DAY), (_DAY, 1001 * _DAY)):
        numbers = (int(unit * 10**power * step) for power in range(5) for step in _STEPS)
        yield from (number for number in numbers if number < below)


BOUNDS: Final = tuple(each for each in _bounds() if each >= 10)  # noqa: PLR2004 - ms: nothing is settled sooner


def count(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Count the exposures that *rows* of `calls` end, before they are written: each call once, by its soonest end.

    Must come behind `take_changes`: what is written already is looked at, and no other writer may come between.
    """
    soonest = dict[str, Mapping[str, Any]]()  # by call id as it is stored: see `Words`
    for row in rows:
        if row["exposure_seconds"] is not None:
            call_id = row["call_id"].replace("\0", "\ufffd")
            if call_id not in soonest or _is_sooner(row, soonest[call_id]):
                soonest[call_id] = row
    if soonest:
        _add(connection, _changes(connection, soonest))


def _is_sooner(row: Mapping[str, Any], than: Mapping[str, Any]) -> bool:
    return bool(row["exposure_seconds"] < than["exposure_seconds"])


def _changes(connection: Connection, soonest: dict[str, Mapping[str, Any]]) -> Mapping[Place, int]:
    """By how much each count changes: a call that was counted before moves, or stays where it is."""
    changes = defaultdict[Place, int](int)
    statement = _counted(connection.dialect.name)
    ids = json.dumps([*soonest]) if connection.dialect.name == "sqlite" else [*soonest]
    for before in map(dict, connection.execute(statement, {"ids": ids}).mappings()):
        if _is_sooner(soonest[before["call_id"]], before):
            changes[_place(before)] -= 1
        else:
            del soonest[before["call_id"]]
    for row in soonest.values():
        changes[_place(row)] += 1
    return changes


@cache
def _counted(dialect: str) -> Select[Any]:
    """Those of the calls `ids` that were settled before. All ids are one parameter: each would cost the driver time."""
    ids = bindparam("ids", type_=Text if dialect == "sqlite" else ARRAY(Text))
    given = select(func.json_each(ids).table_valued("value").c.value)
    is_asked = calls.c.call_id.in_(given) if dialect == "sqlite" else calls.c.call_id == any_(ids)
    names = ("call_id", "provider", "event_type", "occurred_at", "exposure_seconds")
    return select(*(calls.c[name] for name in names)).where(is_asked, calls.c.exposure_seconds.is_not(None))


def _place(row: Mapping[str, Any]) -> Place:
    """Where a settled call is counted; the same whenever it is asked."""
    seconds = row["exposure_seconds"]
    slot = int((row["occurred_at"].timestamp() + seconds) // SLOT) * SLOT
    bound = BOUNDS[min(bisect_left(BOUNDS, seconds * _SECOND), len(BOUNDS) - 1)]
    return slot, row["provider"], row["event_type"], bound


def _add(connection: Connection, changes: Mapping[Place, int]) -> None:
    names = [*exposures.c.keys()]
    rows = [dict(zip(names, (*place, change), strict=True)) for place, change in changes.items() if change]
    if rows:
        insert_all(connection, _counting(connection.dialect.name), rows)


@cache
def _counting(dialect: str) -> Insert:
    insert = insert_into(exposures, dialect)
    sum_ = exposures.c.calls + insert.excluded.calls
    return insert.on_conflict_do_update(index_elements=[*exposures.primary_key], set_={"calls": sum_})


def forget(connection: Connection, horizon: datetime, at_most: int) -> int:
    """Remove at most so many of the counts of what was settled before *horizon*; returns how many."""
    key = [*exposures.primary_key]
    old = select(*key).where(exposures.c.slot < int(horizon.timestamp()) - SLOT).order_by(*key).limit(at_most)
    return connection.execute(delete(exposures).where(tuple_(*key).in_(old))).rowcount
