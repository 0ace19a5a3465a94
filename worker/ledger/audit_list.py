"""The changes that the audit tells of, each once, however many entries it has."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, or_, select

from worker.database.sqlite import any_text
from worker.database.tables import audit_entries, audits
from worker.ledger.audit_chain import EARLIER, EARLIER_AT, ENTRY, earlier_moment, micros, moment, outside

LISTED: Final = 100  # changes, where nothing is said of a limit
OUTSIDE: Final = "outside"  # the kind of what release 0.1.0 wrote after the chain had begun
_LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)
_TOLD: Final = ("audit_id", "actor", "action", "scope", "reason")
_Sums = dict[str, tuple[int, str]]  # of each change


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which changes; everything given must hold. The newest of them, at most *limit*."""

    ids: tuple[str, ...] = ()  # beginnings; one of them matches
    actor: str | None = None  # whole, or what stands before the `@`
    action: str | None = None  # whole, or its leading parts: `dead-letter`
    since: datetime | None = None
    until: datetime | None = None
    limit: int = LISTED
    below: int | None = None  # of the chain those alone whose entry has a lower number
    outside_before: datetime | None = None  # outside the chain those alone that are older


@dataclass(frozen=True, slots=True)
class AuditedChange:
    """A change as the audit tells of it: what was wanted, and what came of it so far."""

    number: int | None  # of its first entry; None: it stands outside the chain
    kind: str
    audit_id: str
    at: datetime | None  # None: what stands there is no time
    actor: str
    action: str
    scope: str
    reason: str
    plan: str
    count: int
    result: str


def find(connection: Connection, where: AuditFilter) -> list[AuditedChange]:
    """Return the changes that *where* describes, the newest first. It does not verify them."""
    first = select(audit_entries).where(ENTRY.step == 0, *_conditions(ENTRY, where, micros))
    first = first.where(*[] if where.below is None else [ENTRY.number < where.below])
    first = first.order_by(ENTRY.number.desc()).limit(where.limit)
    earlier = EARLIER.where(outside(), *_conditions(audits.c, where, lambda at: at))
    earlier = earlier.where(*[] if where.outside_before is None else [audits.c.at < where.outside_before])
    with any_text(connection):
        rows = connection.execute(first).mappings().all()
        sums = _sums(connection, first)
        beside = connection.execute(earlier.order_by(EARLIER_AT.desc()).limit(where.limit)).mappings().all()
    # Each of the two in its own order, whatever the clocks of those who wrote: where a page ends the next one begins.
    both = ((_chained(row, sums) for row in rows), map(_beside, beside))
    merged = heapq.merge(*both, key=lambda each: each.at or _LONG_AGO, reverse=True)
    return list(islice(merged, where.limit))


def _chained(row: RowMapping, sums: _Sums) -> AuditedChange:
    count, result = sums[row["audit_id"]]
    number = row["number"] if isinstance(row["number"], int) else None
    told = _texts(row, "kind", *_TOLD, "plan")
    return AuditedChange(number, **told, at=moment(row["at"]), count=count, result=result)


def _beside(row: RowMapping) -> AuditedChange:
    at, count = earlier_moment(row["at"]), _whole(row["count"])
    return AuditedChange(None, OUTSIDE, **_texts(row, *_TOLD, "result"), plan="", at=at, count=count)


def _sums(connection: Connection, first: Select[Any]) -> _Sums:
    """Return of each change whose entry is among the *first* the sum of its counts and its last result."""
    sums = _Sums()
    told = select(ENTRY.audit_id, ENTRY["count"].label("number"), ENTRY.result).order_by(ENTRY.number)
    theirs = told.where(ENTRY.audit_id.in_(select(first.subquery().c.audit_id)))
    for audit_id, number, result in connection.execute(theirs):
        count, last = sums.get(audit_id, (0, ""))
        sums[audit_id] = (count + _whole(number), _text(result) or last)
    return sums


def _texts(row: RowMapping, *names: str) -> dict[str, str]:
    return {name: _text(row[name]) for name in names}


def _text(value: object) -> str:
    """Return what stands there for people: whatever somebody wrote there."""
    return str(value).encode(errors="surrogateescape").decode(errors="backslashreplace")


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _conditions(
    column: Any,  # noqa: ANN401 - the columns of either table
    where: AuditFilter,
    at: Callable[[datetime], Any],
) -> Iterator[ColumnElement[bool]]:
    if where.ids:
        yield or_(*(and_(column.audit_id >= each, column.audit_id < f"{each}~") for each in where.ids))
    if where.actor is not None:
        yield or_(column.actor == where.actor, column.actor.startswith(f"{where.actor}@", autoescape=True))
    if where.action is not None:
        leading = where.action.rstrip(".")
        yield or_(column.action == leading, column.action.startswith(f"{leading}.", autoescape=True))
    if where.since is not None:
        yield column.at >= at(where.since)
    if where.until is not None:
        yield column.at < at(where.until)
