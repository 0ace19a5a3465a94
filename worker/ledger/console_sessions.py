"""Who is signed in at the console, and whose sessions are over because an event says that the person is disabled."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, insert, or_, select, update

from worker.database.tables import clock, console_sessions, events, subjects
from worker.ledger import audit as auditing
from worker.ledger.audit import AuditEntry

_SESSION: Final = console_sessions.c
_DISABLED: Final = "user.disabled"
_ENABLED: Final = "user.enabled"


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """A session: of whom, by what means, from where, since when."""

    digest: bytes = field(repr=False)
    session_id: str
    name: str
    role: str
    means: str
    address: str
    known_as: tuple[str, ...]  # lookup hashes of the person's names
    created: datetime
    seen: datetime
    idp_subject: str | None = None
    idp_session: str | None = None
    change: int = 0  # the ledger's last one when it began; set when it is added


def add(connection: Connection, session: ConsoleSession) -> None:
    """Begin *session*."""
    now = connection.execute(select(clock.c.value)).scalar_one()
    row = asdict(replace(session, change=now)) | {"known_as": " ".join(session.known_as)}
    connection.execute(insert(console_sessions).values(row))


def find(connection: Connection, digest: bytes) -> ConsoleSession | None:
    """Return the session of *digest*; none where it has ended, or its person was disabled since it began.

    The event counts by when it was recorded, so neither its own time nor anybody's clock can spare a session.
    """
    row = connection.execute(select(console_sessions).where(_SESSION.digest == digest)).mappings().one_or_none()
    if row is None:
        return None
    session = ConsoleSession(**{**row, "known_as": tuple(row["known_as"].split())})
    since = _about(session.known_as, _DISABLED).where(events.c.change > session.change).limit(1)
    return None if connection.execute(since).first() else session


def is_disabled(connection: Connection, known_as: Sequence[str], since: datetime) -> bool:
    """Whether the last that was taken in since *since* about the person of these lookup hashes is that they are out."""
    found = _about(known_as, _DISABLED, _ENABLED).where(events.c.received_at > since)
    last = connection.execute(found.order_by(events.c.occurred_at.desc(), events.c.event_type).limit(1)).scalar()
    return last == _DISABLED


def _about(known_as: Sequence[str], *types: str) -> Select[str]:
    is_event = and_(subjects.c.source == events.c.source, subjects.c.event_id == events.c.event_id)
    found = select(events.c.event_type).select_from(subjects.join(events, is_event))
    return found.where(subjects.c.lookup_hash.in_(known_as), events.c.event_type.in_(types))


def every(connection: Connection) -> list[ConsoleSession]:
    """Return all that were begun and not ended, the newest first; some may be over by their age."""
    rows = connection.execute(select(console_sessions).order_by(_SESSION.created.desc(), _SESSION.session_id))
    return [ConsoleSession(**{**row, "known_as": tuple(row["known_as"].split())}) for row in rows.mappings()]


def touch(connection: Connection, digest: bytes, seen: datetime) -> None:
    """Somebody was at work in the session at *seen*."""
    connection.execute(update(console_sessions).where(_SESSION.digest == digest).values(seen=seen))


def end(connection: Connection, digests: Collection[bytes], audit: AuditEntry | None = None) -> int:
    """End the sessions of *digests*, an operator's doing where there is an *audit*; returns how many there were."""
    count = _end(connection, _SESSION.digest.in_(digests))
    if audit:
        auditing.write(connection, replace(audit, count=count, result="done"))
    return count


def end_at_idp(connection: Connection, subject: str | None, session: str | None) -> int:
    """End what its OpenID provider ended: its *session* there, or where it names none, all of its *subject*."""
    wanted = _SESSION.idp_session == session if session else _SESSION.idp_subject == subject
    return _end(connection, wanted)


def forget(connection: Connection, created_before: datetime, seen_before: datetime) -> int:
    """Remove those that are over by their age."""
    return _end(connection, or_(_SESSION.created < created_before, _SESSION.seen < seen_before))


def _end(connection: Connection, which: ColumnElement[bool]) -> int:
    return connection.execute(delete(console_sessions).where(which)).rowcount
