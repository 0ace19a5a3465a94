"""What a look found: which of its events came before, and which the source's own push had missed."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from tasks.doors import ForeignEvent
from tasks.doors.swept import Finding
from worker.database.tables import events as ledger_events
from worker.doors.outbox import Outbox, OutgoingEvent

_ROW: Final = ledger_events.c
_AT_ONCE: Final = 500  # ids in one question


@dataclass(frozen=True, slots=True)
class Sorting:
    """Sorts the events of the door *name*, which speaks for *source* and is pushed to within *grace*; None: never."""

    name: str
    source: str
    grace: timedelta | None
    outbox: Outbox

    def outgoing(self, event: ForeignEvent) -> OutgoingEvent:
        """Return *event* as it leaves."""
        return OutgoingEvent(self.name, event.type, event.body(self.source))

    async def known(self, events: Sequence[ForeignEvent]) -> frozenset[str]:
        """Return the ids of those that are in the ledger, or in the outbox. Raises LedgerUnavailable."""
        ids, leaving = [each.event_id for each in events], [*map(self.outgoing, events)]

        def work(connection: Connection) -> frozenset[str]:
            waiting = self.outbox.waiting_of(connection, leaving)
            kept = (name for name, each in zip(ids, leaving, strict=True) if each.body in waiting)
            return frozenset([*kept, *_in_ledger(connection, self.source, ids)])

        return await self.outbox.read(work) if events else frozenset()

    def finding(self, event: ForeignEvent, known: Collection[str], now: datetime) -> Finding:
        """Return what *event* is found to be at *now*."""
        if event.event_id in known:
            return Finding.KNOWN
        if self.grace is None:
            return Finding.TAKEN
        return Finding.MISSED if now - event.at > self.grace else Finding.EARLY


def _in_ledger(connection: Connection, source: str, ids: Sequence[str]) -> Iterable[str]:
    for start in range(0, len(ids), _AT_ONCE):
        some = _ROW.event_id.in_(ids[start : start + _AT_ONCE])
        yield from connection.execute(select(_ROW.event_id).where(_ROW.source == source, some)).scalars()
