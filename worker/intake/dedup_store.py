"""The events that were taken in, each with a digest of what it asks for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, select, update
from sqlalchemy.sql.dml import ReturningInsert

from worker.database.engine import Database
from worker.database.tables import seen_events
from worker.database.writing import insert_into

_SEEN = seen_events.c
_MARK: Final = update(seen_events).where(_SEEN.identity == bindparam("known")).values(published=True)
FORGET_BATCH_SIZE: Final = 10_000  # of each type: more than come in a second, and no long transaction


class SeenEvent(NamedTuple):
    """An event that came: digests of what names it and of what it asks for."""

    identity: bytes
    content: bytes
    event_type: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an identity stands for, and whether all that becomes of it is safe in the broker."""

    content: bytes
    published: bool


def youngest(database: Database) -> dict[str, datetime]:
    """Return event type → when the youngest event that was taken in happened."""
    latest = select(_SEEN.event_type, func.max(_SEEN.occurred_at)).group_by(_SEEN.event_type)
    with database.reading() as connection:
        return {kind: at for kind, at in connection.execute(latest)}  # noqa: C416 - rows, not pairs


def claim(database: Database, seen: Sequence[SeenEvent], others: Collection[bytes] = ()) -> dict[bytes, Recorded]:
    """Remember those of *seen* that are new, as not published; return identity → the first that came under it.

    Known ones of *others* are returned too, and none is added. All rows are written in one statement and in one order,
    so that no two intakes wait for each other.
    """
    first = {each.identity: each for each in reversed(seen)}
    rows = [{**first[identity]._asdict(), "published": False} for identity in sorted(first)]
    with database.writing() as connection:
        found = [*connection.execute(_first(connection.dialect.name), rows)] if rows else []
        if others:
            columns = select(_SEEN.identity, _SEEN.content, _SEEN.published)
            found += connection.execute(columns.where(_SEEN.identity.in_(others)))
    return {identity: Recorded(content, published) for identity, content, published in found}


def mark_published(database: Database, identities: Collection[bytes], horizons: Mapping[str, datetime]) -> None:
    """Note that all of these events was confirmed; forget, some at a time, what lies behind its type's horizon."""
    with database.writing() as connection:
        if identities:
            connection.execute(_MARK, [{"known": identity} for identity in sorted(identities)])
        for kind, horizon in horizons.items():
            _forget(connection, kind, horizon)


def _forget(connection: Connection, kind: str, horizon: datetime) -> None:
    old = select(_SEEN.identity).where(_SEEN.event_type == kind, _SEEN.occurred_at < horizon)
    some = old.order_by(_SEEN.occurred_at).limit(FORGET_BATCH_SIZE)
    connection.execute(delete(seen_events).where(_SEEN.identity.in_(some)))


@cache
def _first(dialect: str) -> ReturningInsert[tuple[bytes, bytes, bool]]:
    """The first row decides what an identity stands for; every intake gets it back."""
    insert = insert_into(seen_events, dialect)
    same = {"identity": _SEEN.identity}  # else nothing is returned for a row that exists
    kept = insert.on_conflict_do_update(index_elements=[_SEEN.identity], set_=same)
    return kept.returning(_SEEN.identity, _SEEN.content, _SEEN.published)
