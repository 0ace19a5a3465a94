"""What is asked of a directory server, by python-ldap. Everything here blocks: it is called by threads."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import Final

import ldap
from ldap.controls import SimplePagedResultsControl
from ldap.syncrepl import SyncRequestControl

from tasks.doors.ldap import Settings
from tasks.doors.ldap.people import News, Person, id_of, person_of
from tasks.doors.ldap.refresh import Synchronization
from tasks.doors.ldap.servers import Attributes, first, time_of
from worker.directory.binding import bound
from worker.directory.failures import DirectoryFailed, translated
from worker.directory.messages import said

PAGE: Final = 500  # entries
IDS_AT_ONCE: Final = 50  # in one filter
OVERLAP: Final = timedelta(seconds=10)  # in which a change may become visible after a later one
_USN: Final = "uSNChanged"


class Connection:
    """One. What it is asked it answers whole, or raises DirectoryFailed."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._server = settings, settings.of_server
        named = (*settings.user_names, settings.subject_attribute)
        wanted = (*self._server.attributes, *named, *settings.disabled_values)
        self._attributes = [*dict.fromkeys(filter(None, wanted))]
        self._ldap = bound(settings)
        self._sync, self._search = Synchronization(None), -1

    def close(self) -> None:
        """Let it go."""
        with suppress(ldap.LDAPError):
            self._ldap.unbind_ext_s()

    def everybody(self) -> News:
        """Return all people, and where the changes after them begin."""
        people, unread, cursor = self._read(self._settings.people, "")
        return News(people, unread, is_whole=True, cursor=None if self._settings.follows else cursor)

    def changed(self, cursor: str | None) -> News:
        """Return those changed since *cursor*; everybody where that is of another server."""
        place, mark = json.loads(cursor) if cursor else (None, "")
        if not mark or place != self._place()[0]:
            return self.everybody()
        name, at = self._server.moved, time_of(mark)
        since = mark if at is None else f"{at - OVERLAP:%Y%m%d%H%M%SZ}"
        people, _, after = self._read(f"(&{self._settings.people}({name}>={since}))", mark)
        return News(people, cursor=after if after != cursor else None)

    def there(self, ids: Iterable[str]) -> frozenset[str]:
        """Return those of *ids* who are there when they are asked for by their ids."""
        name = self._server.person_id.lower()
        with _answered():
            return frozenset(self._server.id_of(each[name][0]) for each in self._known_as(ids))

    def follow(self, cookie: str | None) -> None:
        """Have the server tell of all changes after *cookie*, and of each that will be."""
        self._sync = Synchronization(cookie)
        control = SyncRequestControl(cookie=cookie, mode="refreshAndPersist")
        with translated():
            self._search = self._ldap.search_ext(*self._scope(self._settings.people), serverctrls=[control])

    def next(self, seconds: float) -> News | None:
        """Return the next news since `follow`; None where nothing came in *seconds*."""
        while True:
            try:
                with translated():
                    kind, found, *_ = self._ldap.result4(
                        self._search, all=0, timeout=seconds, add_intermediates=1, add_ctrls=1
                    )
                    told = [*said(kind, found, self._person)]
            except ldap.TIMEOUT:
                return None
            heard = [news for each in told if (news := self._sync.hear(each)) and not news.is_empty]
            if heard:
                return self._read_out(heard[-1])  # a message says one thing
            if kind == ldap.RES_SEARCH_RESULT:
                raise DirectoryFailed("the server has ended the search")

    def ping(self) -> None:
        """Return where the server answers: a connection may be dead for hours before the system tells."""
        self._root("supportedLDAPVersion")

    def sample(self) -> list[Person | None]:
        """Return the first page of people; None of each of whom it cannot be told who that is."""
        return [person_of(each, self._settings) for each in islice(self._entries(self._settings.people), PAGE)]

    def tells_changes(self) -> bool:
        """Whether the server has content synchronization (RFC 4533)."""
        return SyncRequestControl.controlType.encode() in self._root("supportedControl").get("supportedcontrol", ())

    def _root(self, *names: str) -> Attributes:
        """Return attributes of the server itself."""
        with _answered():
            [(_, attributes)] = self._ldap.search_s("", ldap.SCOPE_BASE, "(objectClass=*)", [*names])
            return _lowered(attributes)

    def _read(self, which: str, mark: str) -> tuple[dict[str, Person], frozenset[str], str]:
        """Return whom *which* finds, ids of those who cannot be told, and where the changes after that begin."""
        place, now = self._place()
        people: dict[str, Person] = {}
        unread: set[str | None] = set()
        for each in self._entries(which):
            mark = max(mark, first(each, self._server.moved) or "")
            if person := person_of(each, self._settings):
                people[person.person_id] = person
            else:
                unread.add(id_of(each, self._settings))
        return people, frozenset(filter(None, unread)), json.dumps([place, now or mark])

    def _read_out(self, news: News) -> News:
        """Return *news* with those read whom it names and does not tell of.

        389 DS, asked to go on from a cookie, sends entries without the operational attributes that were asked for.
        """
        read = [person_of(each, self._settings) for each in self._known_as(news.unread)]
        return replace(news, people={**news.people, **{each.person_id: each for each in read if each}})

    def _known_as(self, ids: Iterable[str]) -> Iterator[Attributes]:
        asked = [*ids]
        for at in range(0, len(asked), IDS_AT_ONCE):
            some = (self._server.id_in_filter(each) for each in asked[at : at + IDS_AT_ONCE])
            either = "".join(f"({self._server.person_id}={each})" for each in some)
            yield from self._entries(f"(&{self._settings.people}(|{either}))")

    def _place(self) -> tuple[str, str | None]:
        """Which server counts changes, and its count now; None where changes have times."""
        if self._server.moved != _USN:
            return self._settings.url, None
        told = self._root("dsServiceName", "highestCommittedUSN")
        return first(told, "dsServiceName") or "", first(told, "highestCommittedUSN")

    def _entries(self, which: str) -> Iterator[Attributes]:
        """All that *which* finds, page by page. A list that the server cuts short raises DirectoryFailed."""
        control = SimplePagedResultsControl(criticality=True, size=PAGE, cookie=b"")
        while True:
            with _answered():
                asked = self._ldap.search_ext(*self._scope(which), serverctrls=[control])
                _, found, _, answered = self._ldap.result3(asked, timeout=self._settings.server_timeout)
            yield from (_lowered(attributes) for dn, attributes in found if dn is not None)
            [control.cookie] = [each.cookie for each in answered if each.controlType == control.controlType] or [b""]
            if not control.cookie:
                return

    def _scope(self, which: str) -> tuple[str, int, str, list[str]]:
        return self._settings.base, ldap.SCOPE_SUBTREE, which, self._attributes

    def _person(self, attributes: Attributes) -> Person | None:
        return person_of(_lowered(attributes), self._settings)


@contextmanager
def _answered() -> Iterator[None]:
    """Raise DirectoryFailed where the block gets no answer, or not what it asked for."""
    try:
        with translated():
            yield
    except ldap.TIMEOUT:
        raise DirectoryFailed("ldap.TIMEOUT") from None


def _lowered(attributes: Attributes) -> Attributes:
    return {name.lower(): values for name, values in attributes.items()}
