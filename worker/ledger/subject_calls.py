"""The calls of one name: of a person who has a handful, and of a tenant who has a third of the ledger."""

from collections.abc import Collection, Mapping
from typing import Any, Final

import sqlalchemy as sa

from tasks.outcome import OPEN, State
from worker.database.tables import NO_CALL, calls, dead_letters, subjects
from worker.ledger.queries import CERTAINTY, SURE, about, call_rows, in_order, letter_rows
from worker.ledger.rows import CallRow

MANY: Final = 10_000  # events of a name, from which on its calls are found from their states, and not counted

# What is looked at first; within the least certain, what somebody waits for.
_WAITING: Final = (State.DEAD, *sorted(OPEN))
_DOUBTFUL: Final = sorted({*State} - SURE - {*_WAITING, State.ALREADY_REVOKED})
_BY_CERTAINTY: Final = (*_WAITING, *_DOUBTFUL, State.ALREADY_REVOKED, *sorted(SURE))

Counts = Mapping[tuple[str, State], int]  # calls, by provider and state


def of_subject(connection: sa.Connection, *lookup_hashes: str, limit: int | None = None) -> list[CallRow]:
    """Where everything stands that one of *lookup_hashes* finds, oldest event first.

    At most *limit* calls and as many dead letters of no call: first what is not settled or may not be proved, then the
    last that changed; of a name with MANY events the last attempted of each state.
    """
    theirs = calls.c.call_id.in_(_chosen(connection, lookup_hashes, limit)) if limit else about(lookup_hashes, calls)
    is_about = _is_about(lookup_hashes, dead_letters) if limit and _has_many(connection, lookup_hashes) else None
    letters = about(lookup_hashes, dead_letters) if is_about is None else sa.and_(NO_CALL, is_about)
    return in_order([*call_rows(connection, theirs), *letter_rows(connection, letters, limit)])


def counts_of_subject(connection: sa.Connection, *lookup_hashes: str) -> Counts | None:
    """How many calls of that name have come to which state at which provider; None: they are too MANY to be counted."""
    if _has_many(connection, lookup_hashes):
        return None
    place = (calls.c.provider, calls.c.state)
    found: sa.Select[Any] = sa.select(*place, sa.func.count()).where(about(lookup_hashes, calls)).group_by(*place)
    return {(provider, State(state)): count for provider, state, count in connection.execute(found)}


def _chosen(connection: sa.Connection, lookup_hashes: Collection[str], limit: int) -> Any:  # noqa: ANN401 - ids, or a query
    """The ids of the *limit* calls that are looked at."""
    if _has_many(connection, lookup_hashes):
        return _from_states(connection, lookup_hashes, limit)
    order = (CERTAINTY, calls.c.change.desc())
    return sa.select(calls.c.call_id).where(about(lookup_hashes, calls)).order_by(*order).limit(limit)


def _has_many(connection: sa.Connection, lookup_hashes: Collection[str]) -> bool:
    some = sa.select(sa.literal(1)).where(subjects.c.lookup_hash.in_(lookup_hashes)).offset(MANY).limit(1)
    return connection.execute(some).first() is not None


def _is_about(lookup_hashes: Collection[str], table: sa.Table) -> sa.ColumnElement[bool]:
    """As `about`, asked of each row of *table* in its turn."""
    same = sa.and_(subjects.c.event_id == table.c.event_id, subjects.c.source == table.c.source)
    return sa.exists().where(subjects.c.lookup_hash.in_(lookup_hashes), same)


def _from_states(connection: sa.Connection, lookup_hashes: Collection[str], limit: int) -> list[str]:
    """Found along the states' index: of a name that so much is about the next one is never far."""
    is_about, found = _is_about(lookup_hashes, calls), list[str]()
    for state in _BY_CERTAINTY:
        theirs = sa.select(calls.c.call_id).where(calls.c.state == state, is_about).order_by(calls.c.at.desc())
        found += connection.execute(theirs.limit(limit - len(found))).scalars()
        if len(found) == limit:
            break
    return found
