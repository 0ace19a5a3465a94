"""The doors: who is proved by what, what is let in beyond the standard, and what came in."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select

from tasks.doors.settings import CommonDoorSettings
from tasks.doors.signal_stream import Settings as SignalSettings
from tasks.doors.swept import SweptDoorSettings
from worker.database.engine import open_database
from worker.database.errors import LedgerUnavailable
from worker.database.tables import door_cursors, door_news, door_signals, outbox
from worker.operations.doctor.findings import Finding
from worker.operations.text import age, counted
from worker.settings import Settings
from worker.settings.files import UnfitFileError, read_secret

KEYS_AGE: Final = timedelta(hours=3)  # the process reads them every hour
LATE: Final = timedelta(minutes=10)
MISSED_AGE: Final = timedelta(days=1)
OUTBOX_AGE: Final = timedelta(minutes=1)
LOCK_TIMEOUT: Final = 5.0  # seconds
SIGNALS_AGE: Final = timedelta(hours=1)
_SIGNALS: Final = select(
    door_signals.c.door, func.count().label("waiting"), func.min(door_signals.c.at).label("since")
).group_by(door_signals.c.door)


def examine(settings: Settings) -> Iterator[Finding]:
    """The findings about every door."""
    for name, door in settings.doors.items():
        yield from _secrets(name, door)
        if door.leniencies:
            yield Finding("door.leniencies", "warning", f"on: {', '.join(door.leniencies)}", about=name)
    if settings.doors:
        yield from _news(settings)


def _secrets(name: str, door: CommonDoorSettings) -> Iterator[Finding]:
    for path in door.secret_files:
        try:
            read_secret(path)
        except UnfitFileError as fault:
            yield Finding("door.secrets", "failed", f"{path.name} {fault}", about=name)
        else:
            written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            yield Finding("door.secrets", "ok", f"{path.name}: written {age(written)} ago", about=name)


def _news(settings: Settings) -> Iterator[Finding]:
    database = open_database(settings.ledger_url.get_secret_value(), LOCK_TIMEOUT)
    try:
        with database.reading() as connection:
            told = {row.door: row for row in connection.execute(select(door_news))}
            looks = {row.door: row for row in connection.execute(select(door_cursors))}
            count, since = connection.execute(select(func.count(), func.min(outbox.c.at))).one()
            signals = {row.door: row for row in connection.execute(_SIGNALS)}
    except LedgerUnavailable as error:
        yield Finding("door.events", "unknown", str(error))
        return
    finally:
        database.engine.dispose()
    for name, door in settings.doors.items():
        row = told.get(name)
        if door.key_source:
            yield _keys(name, row.keys_at if row else None, from_url=bool(door.key_source.jwks_uri))
        if isinstance(door, SignalSettings):
            yield _signals(name, door, signals.get(name))
            continue
        at = row.event_at if row else None
        yield Finding("door.events", "ok", f"the last came {age(at)} ago" if at else "none came yet", about=name)
        if isinstance(door, SweptDoorSettings) and door.is_swept:
            yield _look(name, door, looks.get(name))
    yield _outbox(count, since)


def _keys(name: str, at: datetime | None, *, from_url: bool) -> Finding:
    """A file is read again when it changes, a URL every hour."""
    if at is None:
        return Finding("door.keys", "warning", "never read", about=name)
    is_old = from_url and datetime.now(UTC) - at > KEYS_AGE
    return Finding("door.keys", "warning" if is_old else "ok", f"read {age(at)} ago", about=name)


def _look(name: str, door: SweptDoorSettings, row: Any) -> Finding:  # noqa: ANN401 - a row
    """Late is a look after ten intervals, and ten minutes: sources may hold an answer, or ask to be left alone."""
    looked_at = row and row.looked_at
    told = f"looked at {age(looked_at)} ago" if looked_at else "its source was never looked at"
    if row and row.fault:
        return Finding("door.look", "failed", f"{told}; failing for {age(row.failed_since)}: {row.fault}", about=name)
    now, patience = datetime.now(UTC), max(LATE, 10 * timedelta(seconds=door.sweep_interval))
    has_missed = row and row.missed_at and now - row.missed_at < MISSED_AGE
    if has_missed:
        told += f"; {counted(row.missed)} events missed by its push, the last {age(row.missed_at)} ago"
    is_well = looked_at and now - looked_at < patience and not has_missed
    return Finding("door.look", "ok" if is_well else "warning", told, about=name)


def _signals(name: str, door: SignalSettings, row: Any) -> Finding:  # noqa: ANN401 - a row
    """A receiver that does not poll is not told, and a full stream takes no more."""
    if row is None:
        return Finding("door.signals", "ok", "none waits", about=name)
    told = f"{counted(row.waiting)} signals wait, the oldest for {age(row.since)}"
    is_left = datetime.now(UTC) - row.since > SIGNALS_AGE
    return Finding(
        "door.signals", "failed" if row.waiting >= door.limit else "warning" if is_left else "ok", told, about=name
    )


def _outbox(count: int, since: datetime | None) -> Finding:
    if not count or since is None:
        return Finding("door.outbox", "ok", "empty")
    is_stuck = datetime.now(UTC) - since > OUTBOX_AGE
    told = f"{counted(count)} events wait, the oldest for {age(since)}"
    return Finding("door.outbox", "failed" if is_stuck else "ok", told)
