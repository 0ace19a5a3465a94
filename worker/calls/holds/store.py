"""The holds that all workers and operators share."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from worker.calls.holds.hold import Hold, Key, OpenedBy, Scope
from worker.database.engine import Database
from worker.database.tables import holds
from worker.database.writing import take_changes
from worker.ledger import audit as auditing
from worker.ledger.audit import AuditEntry

_HOLD = holds.c


@dataclass(frozen=True, slots=True)
class HoldChange:
    """A hold as it stands now, or that is over."""

    hold: Hold
    is_over: bool = False


def standing(database: Database) -> list[Hold]:
    """Return every hold, those included that are over and not yet cleared away."""
    with database.reading() as connection:
        return _standing(connection)


def exchange(database: Database, changes: Sequence[HoldChange]) -> tuple[set[Key], list[Hold]]:
    """Write *changes*, the later version outranking; return the keys opened or ended here first, and what stands."""
    with database.writing() if changes else database.reading() as connection:
        first = {change.hold.key for change in changes if _apply(connection, change)}
        return first, _standing(connection)


def claim(database: Database, hold: Hold) -> bool:
    """Return whether *hold* is now the version after the one before it: of several workers one gets it."""
    with database.writing() as connection:
        take_changes(connection, 0)
        next_version = update(holds).where(_is(hold), _HOLD.version == hold.version - 1).values(_row(hold))
        return bool(connection.execute(next_version).rowcount)


def place(database: Database, hold: Hold, audit: AuditEntry) -> Hold:
    """Have an operator's *hold* stand, in place of the one before; return it as it stands."""
    with database.writing() as connection:
        take_changes(connection, 0)
        known = connection.execute(select(_HOLD.version).where(_is(hold))).scalar()
        placed = replace(hold, version=0 if known is None else known + 1)
        connection.execute(delete(holds).where(_is(hold)))
        connection.execute(insert(holds).values(_row(placed)))
        auditing.write(connection, replace(audit, result="held"))
        return placed


def release(database: Database, provider: str, audit: AuditEntry) -> list[Hold]:
    """End what holds *provider*: operators' holds and pauses at once; a breaker's is probed next. Return what stood."""
    with database.writing() as connection:
        take_changes(connection, 0)
        found = [hold for hold in _standing(connection) if hold.provider == provider]
        for hold in found:
            _end(connection, hold)
        auditing.write(connection, replace(audit, count=len(found), result=f"{len(found)} released or to be probed"))
        return found


def _end(connection: Connection, hold: Hold) -> None:
    if hold.is_probed:
        sooner = replace(hold, until=datetime.now(UTC), version=hold.version + 1)
        connection.execute(update(holds).where(_is(hold)).values(_row(sooner)))
    else:
        connection.execute(delete(holds).where(_is(hold)))


def _standing(connection: Connection) -> list[Hold]:
    columns = [column.label(column.key) for column in _HOLD]
    rows = connection.execute(select(*columns).order_by(_HOLD.provider, _HOLD.since)).mappings()
    return [Hold(**{**row, "scope": Scope(row["scope"]), "opened_by": OpenedBy(row["opened_by"])}) for row in rows]


def _apply(connection: Connection, change: HoldChange) -> bool:
    """Whether this is the first that the ledger learns of its opening, or of its end."""
    take_changes(connection, 0)
    hold, known = change.hold, _is(change.hold)
    if change.is_over:
        return bool(connection.execute(delete(holds).where(known, _HOLD.version <= hold.version)).rowcount)
    until = connection.execute(select(_HOLD.until).where(known)).scalar()
    if until is None or (not hold.is_probed and until <= hold.since):  # none, or one that is over
        connection.execute(delete(holds).where(known))
        connection.execute(insert(holds).values(_row(hold)))
        return True
    connection.execute(update(holds).where(known, _HOLD.version < hold.version).values(_row(hold)))
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
