"""Whom their source enabled again: what the workers follow, so that they make no older call for these users."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Integer, bindparam, select

from worker.database.engine import Database
from worker.database.tables import ENABLED_ONLY, calls

_CALL = calls.c
_COLUMNS: Final = (_CALL.source, _CALL.target, _CALL.event_id, _CALL.occurred_at, _CALL.at, _CALL.change)
_IS_NEW: Final = (ENABLED_ONLY, _CALL.target.is_not(None), _CALL.change > bindparam("seen"))
_NEWEST: Final = select(*_COLUMNS).where(*_IS_NEW).order_by(_CALL.change.desc()).limit(bindparam("most", type_=Integer))


@dataclass(frozen=True, slots=True)
class EnabledRow:
    """One user at one provider instance, as an event of *source* has it."""

    source: str
    target: str  # keyed hash of the instance and the user's id there
    event_id: str
    occurred_at: datetime
    received_at: datetime  # by the intake's clock
    change: int

    @property
    def enabled_at(self) -> datetime:
        """Since when the user is enabled: a clock that is ahead enables nobody before the event came."""
        return min(self.occurred_at, self.received_at)


def enabled_since(database: Database, seen: int, most: int) -> list[EnabledRow]:
    """Return whom the ledger has learnt of since change number *seen*, the oldest news first; the newest *most*."""
    with database.reading() as connection:
        rows = connection.execute(_NEWEST, {"seen": seen, "most": most}).all()
    return [EnabledRow(*row) for row in reversed(rows) if row.at is not None]
