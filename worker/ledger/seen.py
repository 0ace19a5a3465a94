"""The events that were taken in, each with what tells it from another under its name."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, delete, func, select, update

from worker.ledger import upserts
from worker.ledger.tables import seen_events

if TYPE_CHECKING:
    from sqlalchemy import Connection

_SEEN = seen_events.c
FORGOTTEN_AT_ONCE: Final = 10_000  # of each type: more than come in a second, and no long transaction


@dataclass(frozen=True, slots=True)
class Sighting:
    """An event that came: digests of what names it and of what it says."""

    identity: bytes
    content: bytes
    event_type: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What an identity stands for, and whether all that becomes of it is safe in the broker."""

    content: bytes
    published: bool


def youngest(connection: Connection) -> dict[str, datetime]:
    """Event type → the latest time of an event."""
    latest = select(_SEEN.event_type, func.max(_SEEN.occurred_at)).group_by(_SEEN.event_type)
    return {kind: at for kind, at in connection.execute(latest)}  # noqa: C416 - rows, not pairs


def claim(connection: Connection, sightings: Sequence[Sighting], others: Collection[bytes] = ()) -> dict[bytes, Known]:
    """Identity → what stands for it: the first that came. Those of *others* that are known are told, and none added.

    All rows in one statement and in one order, so that no two intakes wait for each other.
    """
    first = {each.identity: each for each in reversed(sightings)}
    rows = [asdict(first[identity]) | {"published": False} for identity in sorted(first)]
    found = [*connection.execute(upserts.seen_event(connection.dialect.name), rows)] if rows else []
    if others:
        columns = select(_SEEN.identity, _SEEN.content, _SEEN.published)
        found += connection.execute(columns.where(_SEEN.identity.in_(others)))
    return {identity: Known(content, published) for identity, content, published in found}


def mark_published(connection: Connection, identities: Collection[bytes]) -> None:
    """Note that they need no second plan."""
    statement = update(seen_events).where(_SEEN.identity == bindparam("known")).values(published=True)
    if identities:
        connection.execute(statement, [{"known": identity} for identity in sorted(identities)])


def forget(connection: Connection, horizons: Mapping[str, datetime]) -> None:
    """Delete some of what happened before its type's horizon, the oldest first."""
    for kind, horizon in horizons.items():
        old = select(_SEEN.identity).where(_SEEN.event_type == kind, _SEEN.occurred_at < horizon)
        some = old.order_by(_SEEN.occurred_at).limit(FORGOTTEN_AT_ONCE)
        connection.execute(delete(seen_events).where(_SEEN.identity.in_(some)))
