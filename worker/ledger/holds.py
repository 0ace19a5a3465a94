"""The holds that all workers and operators share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, delete, insert, select, update

from worker.holds.hold import Hold, Key, Opener, Scope
from worker.ledger import auditing
from worker.ledger.rows import AuditEntry
from worker.ledger.tables import holds
from worker.ledger.writing import take_changes

if TYPE_CHECKING:
    from sqlalchemy import Connection

_HOLD = holds.c


@dataclass(frozen=True, slots=True)
class Change:
    """A hold as it stands now, or that is over."""

    hold: Hold
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Effect:
    """What changes came to."""

    done: set[Key]  # opened by us and nobody before, or ended by us and nobody before
    standing: list[Hold]


def standing(connection: Connection) -> list[Hold]:
    """Every hold, those included that are over and not yet cleared away."""
    rows = connection.execute(select(holds).order_by(_HOLD.provider, _HOLD.since)).mappings()
    return [Hold(**{**row, "scope": Scope(row["scope"]), "opened_by": Opener(row["opened_by"])}) for row in rows]


def exchange(connection: Connection, changes: Sequence[Change]) -> Effect:
    """Write *changes*, of which a later turn outranks an earlier one; then what stands."""
    done = {change.hold.key for change in changes if _apply(connection, change)}
    return Effect(done, standing(connection))


def claim(connection: Connection, hold: Hold) -> bool:
    """Whether *hold* is now the version after the one before it: of several workers that want it, one gets it."""
    take_changes(connection, 0)
    changed = connection.execute(update(holds).where(_is(hold), _HOLD.turn == hold.turn - 1).values(_row(hold)))
    return bool(changed.rowcount)


def place(connection: Connection, hold: Hold, audit: AuditEntry) -> Hold:
    """Have an operator's *hold* stand, in place of the one before."""
    take_changes(connection, 0)
    known = connection.execute(select(_HOLD.turn).where(_is(hold))).scalar()
    placed = replace(hold, turn=0 if known is None else known + 1)
    connection.execute(delete(holds).where(_is(hold)))
    connection.execute(insert(holds).values(_row(placed)))
    auditing.write(connection, audit)
    return placed


def release(connection: Connection, provider: str, audit: AuditEntry) -> list[Hold]:
    """End what holds *provider*: operators' holds and pauses at once; a breaker's is probed next. Those it concerns."""
    take_changes(connection, 0)
    now = datetime.now(UTC)
    found = [hold for hold in standing(connection) if hold.provider == provider]
    for hold in found:
        if hold.is_probed:
            sooner = replace(hold, until=now, turn=hold.turn + 1)
            connection.execute(update(holds).where(_is(hold)).values(_row(sooner)))
        else:
            connection.execute(delete(holds).where(_is(hold)))
    auditing.write(connection, replace(audit, count=len(found)))
    return found


def _apply(connection: Connection, change: Change) -> bool:
    """Whether this was the first word of its opening, or of its end."""
    take_changes(connection, 0)
    hold, known = change.hold, _is(change.hold)
    if change.is_over:
        return bool(connection.execute(delete(holds).where(known, _HOLD.turn <= hold.turn)).rowcount)
    until = connection.execute(select(_HOLD.until).where(known)).scalar()
    if until is None or (not hold.is_probed and until <= hold.since):  # none, or one that is over
        connection.execute(delete(holds).where(known))
        connection.execute(insert(holds).values(_row(hold)))
        return True
    connection.execute(update(holds).where(known, _HOLD.turn < hold.turn).values(_row(hold)))
    return False


def _is(hold: Hold) -> ColumnElement[bool]:
    return and_(
        _HOLD.provider == hold.provider,
        _HOLD.scope == hold.scope.value,
        _HOLD.opened_by == hold.opened_by.value,
        _HOLD.source == hold.source,
    )


def _row(hold: Hold) -> dict[str, Any]:
    return asdict(hold) | {"scope": hold.scope.value, "opened_by": hold.opened_by.value}
