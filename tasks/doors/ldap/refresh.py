"""The content synchronization of RFC 4533: what a server says, until it is news.

A refresh is news as a whole, once the server has said that it is done: whoever is mentioned in part of one is not the
only one there. The cookie goes with the news that it stands behind, and never before them.
"""

from dataclasses import dataclass, field
from typing import Final

from tasks.doors.ldap.people import News, Person

_SETS: Final = "csn="
_SID: Final = 2  # place of the server's number in a CSN, between its `#`


@dataclass(frozen=True, slots=True)
class EntrySaid:
    """An entry, with its Sync State."""

    state: str  # present, add, modify, delete
    person_id: str
    person: Person | None = None  # None: it cannot be told who that is
    cookie: str | None = None


@dataclass(frozen=True, slots=True)
class IdsSaid:
    """A set of ids: of those who are there, or of those who are not."""

    ids: frozenset[str]
    are_deleted: bool
    cookie: str | None = None


@dataclass(frozen=True, slots=True)
class PhaseSaid:
    """A phase of the refresh is over: after a phase of the present, whoever was not mentioned is not there."""

    is_present: bool
    is_done: bool  # the refresh, too
    cookie: str | None = None


@dataclass(frozen=True, slots=True)
class CookieSaid:
    """A new cookie, and nothing else."""

    cookie: str


Said = EntrySaid | IdsSaid | PhaseSaid | CookieSaid


@dataclass(slots=True)
class Synchronization:
    """One search of this kind, begun with *cookie*; None: the server is to tell of everything."""

    cookie: str | None
    people: dict[str, Person] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)
    is_whole: bool = False
    is_refreshed: bool = False

    def __post_init__(self) -> None:
        self.is_whole = self.cookie is None

    def hear(self, said: Said) -> News | None:
        """Return what is news now; None while more is to come first."""
        if said.cookie:
            self.cookie = merged(self.cookie, said.cookie)
        match said:
            case EntrySaid():
                self._entry(said)
            case IdsSaid():
                self._ids(said)
            case PhaseSaid():
                self.is_whole |= said.is_present
                self.is_refreshed |= said.is_done
        return self._taken() if self.is_refreshed else None

    def _entry(self, said: EntrySaid) -> None:
        if said.state == "delete":
            self.people.pop(said.person_id, None)
            self.present.discard(said.person_id)
            self.deleted.add(said.person_id)
            return
        self.deleted.discard(said.person_id)
        self.present.add(said.person_id)
        if said.person is not None:
            self.people[said.person_id] = said.person
        elif said.state != "present":
            self.unread.add(said.person_id)

    def _ids(self, said: IdsSaid) -> None:
        if not said.are_deleted:
            self.present |= said.ids
            return
        self.deleted |= said.ids
        self.present -= said.ids
        for each in said.ids:
            self.people.pop(each, None)

    def _taken(self) -> News:
        unread = self.unread - self.deleted - self.people.keys()
        of_ids = frozenset(self.present), frozenset(self.deleted), frozenset(unread)
        news = News(self.people, *of_ids, is_whole=self.is_whole, cursor=self.cookie)
        self.people, self.present, self.deleted, self.unread, self.is_whole = {}, set(), set(), set(), False
        return news


def merged(before: str | None, cookie: str) -> str:
    """Return *cookie* with what *before* knew of other servers.

    Each OpenLDAP server of several that write has a CSN of its own, and may tell its own alone; a cookie without all
    of them makes the next refresh one of everything. Any other server's cookie is taken as it is.
    """
    if before is None or _SETS not in cookie or _SETS not in before:
        return cookie
    newest = _csns(before)
    for sid, csn in _csns(cookie).items():
        newest[sid] = max(csn, newest.get(sid, csn))
    others = [part for part in cookie.split(",") if not part.startswith(_SETS)]
    return ",".join([*others, _SETS + ";".join(newest[sid] for sid in sorted(newest))])


def _csns(cookie: str) -> dict[str, str]:
    """Return the CSNs in *cookie*, by the number of their server."""
    [sets] = [part.removeprefix(_SETS) for part in cookie.split(",") if part.startswith(_SETS)] or [""]
    parts = [csn.split("#") for csn in sets.split(";")]
    return {csn[_SID]: "#".join(csn) for csn in parts if len(csn) > _SID}
