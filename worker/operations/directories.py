"""Directories that are followed, as operators see, release and forget them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, delete, func, select, update

from tasks.doors.ldap import Settings as LdapSettings
from worker.database.cipher import DIGEST_SIZE
from worker.database.tables import directories, directory_people
from worker.ledger import AuditEntry, Ledger, Operator
from worker.ledger import audit as auditing
from worker.operations import RefusedRequest
from worker.settings import Settings

_DIRECTORY: Final = directories.c
_PERSON: Final = directory_people.c
FLOOD: Final = "flood"


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory as it stands."""

    name: str
    people: int = 0  # known
    read_at: datetime | None = None
    held_at: datetime | None = None
    held_why: str | None = None
    held: int = 0  # people
    released_at: datetime | None = None


def standing(settings: Settings, ledger: Ledger) -> list[Directory]:
    """Return the directories of *settings*. Raises LedgerUnavailable."""
    with ledger.database.reading() as connection:
        known = _known(connection)
    names = [name for name, door in settings.doors.items() if isinstance(door, LdapSettings)]
    return [known.get(name, Directory(name)) for name in names]


def one(settings: Settings, ledger: Ledger, name: str) -> Directory:
    """Return the directory *name*. Raises RefusedRequest where the settings have none."""
    found = [each for each in standing(settings, ledger) if each.name == name]
    if not found:
        raise RefusedRequest(f"{name}: no directory of the settings (doors.{name} of kind ldap)")
    return found[0]


def release(ledger: Ledger, directory: Directory, operator: Operator) -> AuditEntry:
    """Have a flood that *directory* was seen to hold take effect. Raises RefusedRequest where it does not."""
    if directory.held_at is None or directory.held_why != FLOOD:
        why = "contradicts itself: mend the directory" if directory.held_at else "is not held"
        raise RefusedRequest(f"{directory.name}: {why}")
    audit = operator.entry("directory.release", directory.name, directory.held)
    with ledger.database.writing() as connection:
        now = _known(connection, locked=True).get(directory.name)
        if now is None or (now.held_why, now.held) != (directory.held_why, directory.held):
            raise RefusedRequest(f"{directory.name}: another number of people is held by now: look again")
        _set(connection, directory.name, released_at=datetime.now(UTC))
        auditing.write(connection, audit)
    return audit


def forget(ledger: Ledger, directory: Directory, operator: Operator) -> AuditEntry:
    """Forget the people of *directory*: it is read as if for the first time, which logs out nobody."""
    audit = operator.entry("directory.forget", directory.name)
    with ledger.database.writing() as connection:
        _known(connection, locked=True)
        gone = connection.execute(delete(directory_people).where(_PERSON.door == directory.name)).rowcount
        connection.execute(delete(directories).where(_DIRECTORY.door == directory.name))
        audit = replace(audit, count=gone)
        auditing.write(connection, audit)
    return audit


def _known(connection: Connection, *, locked: bool = False) -> Mapping[str, Directory]:
    rows = connection.execute(select(directories).with_for_update() if locked else select(directories)).all()
    counts = select(_PERSON.door, func.count().label("people")).where(~_PERSON.gone).group_by(_PERSON.door)
    people = {row.door: row.people for row in connection.execute(counts)}
    return {
        row.door: Directory(
            row.door,
            people.get(row.door, 0),
            row.read_at,
            row.held_at,
            row.held_why,
            len(row.held_people or b"") // DIGEST_SIZE,
            row.released_at,
        )
        for row in rows
    }


def _set(connection: Connection, name: str, **values: datetime) -> None:
    connection.execute(update(directories).where(_DIRECTORY.door == name).values(**values))
