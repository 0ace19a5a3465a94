"""Intakes that remember together on one ledger, and events of any age."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from tasks.events import InvalidEvent
from tasks.events.model import UserDisabled
from worker.database.tables import seen_events
from worker.intake.dedup import Classified, Deduplicator, IncomingEvent
from worker.ledger import Ledger

HOUR = timedelta(hours=1)
DAY = 24 * HOUR
MAX_AGES = {"session.ended": 2 * DAY, "user.disabled": 7 * DAY}
OUTAGE = 30 * DAY
DISABLED = "user.disabled"
Start = Callable[[], Deduplicator]


def event(event_id: str = "e1", age: timedelta = timedelta(), who: str = "alice", source: str = "urn:test") -> Any:
    """A user was disabled so long ago."""
    told = {"specversion": "1.0", "id": event_id, "source": source, "type": DISABLED}
    data = {"sub_id": {"format": "opaque", "id": who}}
    return UserDisabled.model_validate({**told, "time": (datetime.now(UTC) - age).isoformat(), "data": data})


def taken(*arrivals: IncomingEvent, by: Deduplicator) -> list[str]:
    """What became of *arrivals*; what was planned is published."""
    judged = by.classify(arrivals)
    by.mark_published(each for each in judged if isinstance(each, IncomingEvent))
    return words(judged)


def words(judged: Sequence[Classified]) -> list[str]:
    """`planned`, `done before`, or the code of a refusal."""
    return [each.code if isinstance(each, InvalidEvent) else "planned" if each else "done before" for each in judged]


def shift_past(ledger: Ledger, by: timedelta) -> None:
    """Let everything that was seen have happened earlier."""
    put_past(ledger, lambda at: at - by)


def put_past(ledger: Ledger, move: Callable[[datetime], datetime]) -> None:
    """Let everything that was seen have happened when *move* says."""
    with ledger.database.writing() as connection:
        rows = connection.execute(select(seen_events.c.identity, seen_events.c.occurred_at)).all()
        for identity, at in rows:
            connection.execute(
                seen_events.update().where(seen_events.c.identity == identity).values(occurred_at=move(at))
            )
