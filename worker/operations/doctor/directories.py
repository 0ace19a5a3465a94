"""The directories that are followed: whether each can be reached and read, tells of changes, and waits for nobody."""

from collections.abc import Iterator
from contextlib import closing
from typing import Final

from tasks.doors.ldap import Settings as LdapSettings
from worker.ledger import Ledger, LedgerUnavailable
from worker.operations.directories import standing
from worker.operations.doctor.findings import Finding, State
from worker.operations.text import age, counted
from worker.settings import Settings

LOCK_TIMEOUT: Final = 5.0  # seconds


def examine(settings: Settings) -> Iterator[Finding]:
    """The findings about every directory."""
    followed = {name: door for name, door in settings.doors.items() if isinstance(door, LdapSettings)}
    for name, door in followed.items():
        yield from _server(name, door)
    if followed:
        yield from _held(settings)


def _server(name: str, door: LdapSettings) -> Iterator[Finding]:
    try:
        from worker.directory.connection import Connection  # noqa: PLC0415 - an extra, which other doors do without
        from worker.directory.failures import DirectoryFailed  # noqa: PLC0415 - likewise
    except ModuleNotFoundError:
        yield Finding("directory.connection", "failed", "needs python-ldap: pip install 'revoker[ldap]'", about=name)
        return
    try:
        connection = Connection(door)
    except DirectoryFailed as failed:
        yield Finding("directory.connection", "failed", str(failed), about=name)
        return
    yield Finding("directory.connection", "ok", f"reached, as {'its user' if door.bind_dn else 'nobody'}", about=name)
    try:
        found = connection.sample()
        tells = connection.tells_changes()
    except DirectoryFailed as failed:
        yield Finding("directory.people", "failed", str(failed), about=name)
        return
    finally:
        connection.close()
    people = [each for each in found if each and each.names.user]
    told = f"{counted(len(people))} of the first {counted(len(found))} can be read"
    disabled = counted(sum(each.is_disabled for each in people))
    state: State = "ok" if len(people) == len(found) > 0 else "warning" if people else "failed"
    yield Finding("directory.people", state, f"{told}, {disabled} are disabled", about=name)
    if door.follows:
        changes = "tells of them at once" if tells else "has no content synchronization"
        yield Finding("directory.changes", "ok" if tells else "failed", changes, about=name)


def _held(settings: Settings) -> Iterator[Finding]:
    try:
        with closing(Ledger.open(settings.ledger_url.get_secret_value(), LOCK_TIMEOUT)) as ledger:
            found = standing(settings, ledger)
    except LedgerUnavailable as error:
        yield Finding("directory.held", "unknown", str(error))
        return
    for each in found:
        if each.held_at is None:
            read = f"read {age(each.read_at)} ago" if each.read_at else "never read"
            yield Finding("directory.held", "ok" if each.read_at else "warning", read, about=each.name)
        else:
            told = f"{each.held_why}: {counted(each.held)} people wait, for {age(each.held_at)}"
            yield Finding("directory.held", "failed", told, about=each.name)
