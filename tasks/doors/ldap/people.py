"""People of a directory, what is known of each, and which change of theirs is an event."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tasks.doors.door import ForeignEvent
from tasks.doors.ldap.servers import Attributes, first, time_of
from tasks.doors.subjects import of_person
from tasks.events import USER_DISABLED, USER_ENABLED

if TYPE_CHECKING:
    from tasks.doors.ldap import Settings

REASONS: Final = {True: "ldap-enabled", False: "ldap-disabled"}
GONE: Final = "ldap-deleted"
_MAX_NAME: Final = 256  # characters
_BELIEVED_AGE: Final = timedelta(days=1)  # of a change's time; what is older says nothing of when somebody was disabled
_ID: Final = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Names:
    """By what a person is called."""

    user: str = field(repr=False)  # empty: unknown
    subject: str | None = field(default=None, repr=False)  # the user id at a provider


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as the directory has them now."""

    person_id: str  # the directory's, 32 hex digits
    names: Names
    is_disabled: bool
    marker: str  # of their last change
    changed: datetime | None  # when that was, by the directory's clock


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody as they were known last."""

    is_active: bool
    marker: str
    ordinal: int = 0  # of their transitions under one marker
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """Somebody was disabled, enabled or deleted."""

    person_id: str
    names: Names
    known: Known  # afterwards
    changed: datetime | None

    def event(self, now: datetime, issuer: str | None) -> ForeignEvent:
        """Return it as an event, called by the directory's own id and the marker of the change."""
        known = self.known
        kind = USER_ENABLED if known.is_active else USER_DISABLED
        data: dict[str, Any] = {
            "sub_id": of_person(self.names.user, self.names.subject, issuer),
            "reason": GONE if known.is_gone else REASONS[known.is_active],
        }
        is_believed = self.changed is not None and now - _BELIEVED_AGE <= self.changed <= now
        at = self.changed if is_believed and self.changed else now
        return ForeignEvent(kind, f"{self.person_id}:{known.marker}:{known.ordinal}", at, data)


@dataclass(frozen=True, slots=True)
class News:
    """What a directory has told."""

    people: Mapping[str, Person] = field(default_factory=dict)  # by id: as they are now
    present: frozenset[str] = frozenset()  # ids of those who are there, and have not changed
    deleted: frozenset[str] = frozenset()  # ids
    unread: frozenset[str] = frozenset()  # ids of those of the present who have changed, it was not said to what
    is_whole: bool = False  # whoever is not in it is not there
    cursor: str | None = None  # where the next ones begin; None: where these did

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be kept of it."""
        return not (self.people or self.deleted or self.is_whole or self.cursor)

    def mentioned(self) -> Iterator[str]:
        """The ids of all who are there."""
        yield from self.people
        yield from self.present


def id_of(attributes: Attributes, settings: "Settings") -> str | None:
    """Return the id of an entry; None where it cannot be read."""
    values = attributes.get(settings.of_server.person_id.lower())
    person_id = settings.of_server.id_of(values[0]) if values else ""
    return person_id if _ID.fullmatch(person_id) else None


def person_of(attributes: Attributes, settings: "Settings") -> Person | None:
    """Return who an entry is; None where it cannot be told who that is, or whether they are disabled.

    Whoever has no name any more is called by none: they may be known.
    """
    server, person_id = settings.of_server, id_of(attributes, settings)
    marker, locked = first(attributes, server.marker), server.is_locked(first(attributes, server.lock))
    if not person_id or not marker or locked is None:
        return None
    user = next(filter(None, (first(attributes, name) for name in settings.user_names)), "")
    subject = first(attributes, settings.subject_attribute) if settings.subject_attribute else None
    names = Names(user if len(user) <= _MAX_NAME else "", subject)
    is_disabled = locked or _has_value(attributes, settings.disabled_values)
    return Person(person_id, names, is_disabled, marker, time_of(first(attributes, server.changed)))


def _has_value(attributes: Attributes, disabling: Mapping[str, str]) -> bool:
    return any(
        each.decode(errors="replace").casefold() == value.casefold()
        for name, value in disabling.items()
        for each in attributes.get(name.lower(), ())
    )


def is_stale(known: Known, person: Person) -> bool:
    """Whether *person* is as they were before what is *known*; no where their marks have no order of time."""
    before, now = time_of(known.marker), time_of(person.marker)
    return before is not None and now is not None and now < before


def seen(known: Known | None, person: Person) -> tuple[Known, Transition | None]:
    """Return *person* as they are known from now on, and what that changes; somebody new changes nothing."""
    is_active = not person.is_disabled
    if known is None:
        return Known(is_active, person.marker), None
    is_new_marker = known.marker != person.marker
    if known.is_active == is_active:
        return Known(is_active, person.marker, 0 if is_new_marker else known.ordinal), None
    after = Known(is_active, person.marker, 0 if is_new_marker else known.ordinal + 1)
    return after, Transition(person.person_id, person.names, after, person.changed if is_new_marker else None)


def missed(known: Known, person_id: str, names: Names) -> tuple[Known, Transition | None]:
    """Return somebody who is no longer there as they are known from now on, and what that changes."""
    after = replace(known, is_active=False, is_gone=True, ordinal=known.ordinal + known.is_active)
    return after, Transition(person_id, names, after, None) if known.is_active else None
