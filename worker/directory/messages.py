"""Messages of python-ldap → what a server says in a content synchronization (RFC 4533)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import ldap
from ldap.syncrepl import SyncInfoMessage, SyncStateControl

from tasks.doors.ldap.people import Person
from tasks.doors.ldap.refresh import CookieSaid, EntrySaid, IdsSaid, PhaseSaid, Said

PersonOf = Callable[[Mapping[str, Sequence[bytes]]], Person | None]
_CHANGED: Final = frozenset({"add", "modify"})


def said(kind: int, found: Any, person_of: PersonOf) -> Iterator[Said]:  # noqa: ANN401 - of a library without types
    """Yield what one message says. Raises what its decoder raises on what is not of the protocol.

    The end of a search says nothing, whatever its Sync Done: we ask for one that persists.
    """
    if kind == ldap.RES_SEARCH_ENTRY:
        for _, attributes, of_entry in found:
            yield from (_entry(each, attributes, person_of) for each in of_entry if isinstance(each, SyncStateControl))
    elif kind == ldap.RES_INTERMEDIATE:
        for name, value, _ in found:
            if name == SyncInfoMessage.responseName:
                yield from _info(SyncInfoMessage(value))


def _entry(state: Any, attributes: Mapping[str, Sequence[bytes]], person_of: PersonOf) -> EntrySaid:  # noqa: ANN401 - likewise
    person = person_of(attributes) if state.state in _CHANGED else None
    return EntrySaid(state.state, UUID(state.entryUUID).hex, person, state.cookie)


def _info(message: Any) -> Iterator[Said]:  # noqa: ANN401 - likewise
    if message.newcookie is not None:
        yield CookieSaid(message.newcookie)
    for phase in filter(None, (message.refreshPresent, message.refreshDelete)):
        is_present = phase is message.refreshPresent
        yield PhaseSaid(is_present, phase["refreshDone"], phase.get("cookie"))
    if message.syncIdSet is not None:
        ids = frozenset(UUID(each).hex for each in message.syncIdSet["syncUUIDs"])
        yield IdsSaid(ids, message.syncIdSet["refreshDeletes"], message.syncIdSet.get("cookie"))
