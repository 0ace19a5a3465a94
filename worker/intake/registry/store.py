"""The session registry in the ledger's database. All of it is done in turns, so that no start misses an end."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, Table, case, delete, exists, func, select, text, update

from tasks.outcome import SETTLED, SPARED
from worker.database.engine import Database
from worker.database.tables import IS_ENDING, calls, registry_ends, registry_names, registry_sessions
from worker.database.writing import insert_into
from worker.intake.registry.ends import End

_SESSION, _NAME, _END = registry_sessions.c, registry_names.c, registry_ends.c
_LOCK: Final = text(
    "SELECT pg_advisory_xact_lock(32199698087475321)"
)  # "registry", near enough; SQLite's writer has it
PARAMETERS: Final = 500  # of one statement
PIECE: Final = 200  # rows that are removed in one transaction
_DEAD: Final = sorted(SETTLED - SPARED)

EndKey = tuple[str, str]  # hash of a name or of a session's id, source


@dataclass(frozen=True, slots=True)
class RegisteredRow:
    """A session as it is kept."""

    session: str  # keyed hash of its provider and credential
    provider: str
    sealed: bytes = field(repr=False)
    kid: str | None  # of the sealing key that its call needs
    session_id: str | None
    started_at: datetime
    kept_until: datetime
    ending_at: datetime | None = None


@contextmanager
def turn(database: Database) -> Iterator[Connection]:
    """A transaction in which nobody else reads or writes the registry: what one commits, the next one sees."""
    with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(_LOCK)
        yield connection


def note_ends(connection: Connection, ends: Mapping[EndKey, End], kept_until: Mapping[EndKey, datetime]) -> None:
    """Remember *ends*, with what is known already of the same name and source."""
    if not ends:
        return
    known = ends_of(connection, [name for name, _ in ends])
    rows = [
        {"name": name, "source": source, "ended_at": end.ended_at, "enabled_at": end.enabled_at}
        | {"kept_until": kept_until[name, source]}
        for (name, source), new in sorted(ends.items(), key=lambda each: each[0])
        for end in (new.and_(known.get(name, {}).get(source, new)),)
    ]
    insert = insert_into(registry_ends, connection.dialect.name)
    changed = {name: insert.excluded[name] for name in ("ended_at", "enabled_at", "kept_until")}
    connection.execute(insert.on_conflict_do_update(index_elements=["name", "source"], set_=changed), rows)


def ends_of(connection: Connection, names: Collection[str]) -> Mapping[str, Mapping[str, End]]:
    """What was ended of *names*, by name, and by the source that said it."""
    found: dict[str, dict[str, End]] = defaultdict(dict)
    columns = select(_END.name, _END.source, _END.ended_at, _END.enabled_at)
    for name, source, ended_at, enabled_at in _in_parts(connection, columns, _END.name, names):
        found[name][source] = End(ended_at, enabled_at)
    return found


def known(connection: Connection, sessions: Collection[str]) -> set[str]:
    """Which of *sessions* are kept already."""
    return {row.session for row in _in_parts(connection, select(_SESSION.session), _SESSION.session, sessions)}


def how_many(connection: Connection, names: Collection[str]) -> dict[str, int]:
    """How many sessions are kept of each of *names*."""
    counted = select(_NAME.name, func.count()).group_by(_NAME.name)
    return {name: count for name, count in _in_parts(connection, counted, _NAME.name, names)}  # noqa: C416 - rows


def keep(connection: Connection, rows: Sequence[RegisteredRow], names: Sequence[Mapping[str, str]]) -> None:
    """Add *rows* and the *names* of their people; of one that is known only what is new is taken."""
    if rows:
        insert = insert_into(registry_sessions, connection.dialect.name)
        new = insert.excluded
        later = case((new.kept_until > _SESSION.kept_until, new.kept_until), else_=_SESSION.kept_until)
        changed = {"kept_until": later, "session_id": func.coalesce(_SESSION.session_id, new.session_id)}
        same = insert.on_conflict_do_update(index_elements=["session"], set_=changed)
        connection.execute(same, [asdict(row) for row in rows])
    if names:
        connection.execute(insert_into(registry_names, connection.dialect.name).on_conflict_do_nothing(), [*names])


def of_names(connection: Connection, names: Collection[str]) -> list[tuple[str, RegisteredRow]]:
    """The sessions of *names*, each with the name that it was found by."""
    found = select(_NAME.name, registry_sessions).join(registry_sessions, _SESSION.session == _NAME.session)
    return [(row[0], RegisteredRow(*row[1:])) for row in _in_parts(connection, found, _NAME.name, names)]


def of_ids(connection: Connection, ids: Collection[str]) -> list[RegisteredRow]:
    """The sessions that have one of *ids*."""
    return [RegisteredRow(*row) for row in _in_parts(connection, select(registry_sessions), _SESSION.session_id, ids)]


def note_ending(connection: Connection, sessions: Collection[str], now: datetime) -> None:
    """Remember that the revocation of *sessions* was planned: once it is known to be done they go."""
    for part in _parts(sessions):
        connection.execute(update(registry_sessions).where(_SESSION.session.in_(part)).values(ending_at=now))


def count(database: Database) -> dict[str, int]:
    """How many sessions are kept, by provider."""
    with database.reading() as connection:
        return _counts(connection, select(_SESSION.provider, func.count()).group_by(_SESSION.provider))


def open_sessions(database: Database, lookups: Collection[str]) -> dict[str, int]:
    """How many sessions are kept, and are not being ended, of whom operators find by *lookups*; by provider."""
    theirs = select(_NAME.session).where(_NAME.lookup.in_([*lookups]))
    is_open = (_SESSION.ending_at.is_(None), _SESSION.session.in_(theirs))
    with database.reading() as connection:
        return _counts(connection, select(_SESSION.provider, func.count()).where(*is_open).group_by(_SESSION.provider))


def _counts(connection: Connection, counted: Select[Any]) -> dict[str, int]:
    return {provider: number for provider, number in connection.execute(counted)}  # noqa: C416 - rows, not pairs


def forget(database: Database, now: datetime) -> int:
    """Remove some of what is over at *now*: expired sessions, revoked ones, ends; return how many rows."""
    # Session by session, by the target of the calls: by their state almost all calls would be read, every second.
    is_dead = exists().where(calls.c.target == _SESSION.session, calls.c.state.in_(_DEAD))
    revoked = select(_SESSION.session).where(IS_ENDING, is_dead)
    expired = select(_SESSION.session).where(_SESSION.kept_until < now)
    with turn(database) as connection:
        gone = {row.session for each in (expired, revoked) for row in connection.execute(each.limit(PIECE))}
        _remove(connection, registry_names, _NAME.session, gone)
        _remove(connection, registry_sessions, _SESSION.session, gone)
        old = select(_END.name).where(_END.kept_until < now).limit(PIECE)
        ends = connection.execute(delete(registry_ends).where(_END.name.in_(old), _END.kept_until < now)).rowcount
    return len(gone) + ends


def _remove(connection: Connection, table: Table, column: ColumnElement[str], sessions: Collection[str]) -> None:
    for part in _parts(sessions):
        connection.execute(delete(table).where(column.in_(part)))


def _in_parts(
    connection: Connection, question: Select[Any], column: ColumnElement[Any], values: Collection[str]
) -> Iterator[Any]:
    for part in _parts(values):
        yield from connection.execute(question.where(column.in_(part)))


def _parts(values: Collection[str]) -> Iterator[list[str]]:
    """*Values* in an order, of as many at a time as one statement takes."""
    ordered = sorted(set(values))
    return (ordered[start : start + PARAMETERS] for start in range(0, len(ordered), PARAMETERS))
