"""Calls that make others needless: of many about one user or person those that need no other beside them."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from tasks.doubt import KNOWS_LIVING
from tasks.outcome import State
from worker.database.tables import calls
from worker.ledger.queries import batches, call_rows
from worker.ledger.rows import CallRow

_TELLING: Final = sorted({*KNOWS_LIVING, State.ALREADY_REVOKED, State.ENABLED})
_NAMES: Final = ("call_id", "provider", "source", "target", "person", "state", "occurred_at", "at", "duration_ms")


class _Last:
    """By a key: the last moment that was told, and by which call."""

    def __init__(self) -> None:
        self._calls: dict[tuple[object, ...], tuple[datetime, str]] = {}

    def tell(self, key: tuple[object, ...], at: datetime, call_id: str) -> None:
        """Keep it where it is the last one."""
        told = (at, call_id)
        self._calls[key] = max(self._calls.get(key, told), told)

    def is_told_since(self, key: tuple[object, ...], at: datetime) -> bool:
        """Whether one of *key* was told at *at* or later."""
        return key in self._calls and self._calls[key][0] >= at

    @property
    def ids(self) -> list[str]:
        """The last call of each key."""
        return [call_id for _, call_id in self._calls.values()]


def telling_of_targets(connection: sa.Connection, targets: Collection[str]) -> list[CallRow]:
    """Of the calls that hit one of *targets* those by which another one may be needless.

    Of what killed something, of each target and provider the one that killed what all did; what the provider called
    dead already only where that comes later; and of each source the last that says the user is enabled again.
    """
    kills, enabled, dead_already = _Last(), _Last(), list[Any]()
    for row in _narrow(connection, calls.c.target, targets, calls.c.state.concat("").in_(_TELLING)):
        match State(row.state):
            case State.ALREADY_REVOKED:
                dead_already.append(row)
            case State.ENABLED:
                enabled.tell((row.target, row.provider, row.source), min(row.occurred_at, row.at), row.call_id)
            case _:
                kills.tell((row.target, row.provider), _killed_what_is_before(row), row.call_id)
    later = (
        row for row in dead_already if not kills.is_told_since((row.target, row.provider), _killed_what_is_before(row))
    )
    return _whole(connection, [*kills.ids, *enabled.ids, *(row.call_id for row in later)])


def kills_of_persons(connection: sa.Connection, persons: Collection[str], operations: Collection[str]) -> list[CallRow]:
    """The calls that did one of *operations*, and killed something, for events that name one of *persons* so.

    Of each person, source and provider the one that needs no other beside it: it killed what all the others did.
    """
    kills = _Last()
    did = sa.and_(calls.c.operation.in_(operations), calls.c.state.concat("").in_(sorted(KNOWS_LIVING)))
    for row in _narrow(connection, calls.c.person, persons, did):
        kills.tell((row.person, row.source, row.provider), _killed_what_is_before(row), row.call_id)
    return _whole(connection, kills.ids)


def _killed_what_is_before(call: Any) -> datetime:  # noqa: ANN401 - a row
    """Of which events it killed the tokens: of those before it was sent, and before its own event (`supersedes`)."""
    sent_at: datetime = call.at - timedelta(milliseconds=call.duration_ms or 0.0)
    occurred_at: datetime = call.occurred_at
    return min(occurred_at, sent_at)


def _narrow(
    connection: sa.Connection, column: sa.Column[Any], keys: Collection[str], condition: sa.ColumnElement[bool]
) -> Iterator[Any]:
    """What tells which calls are the last ones, of those with one of *keys* in *column*; they may be thousands."""
    for some in batches([*keys]):
        found = sa.select(*(calls.c[name] for name in _NAMES)).where(column.in_(some), condition)
        yield from connection.execute(found.where(calls.c.at.is_not(None)))


def _whole(connection: sa.Connection, ids: list[str]) -> list[CallRow]:
    return [row for some in batches(ids) for row in call_rows(connection, calls.c.call_id.in_(some))]
