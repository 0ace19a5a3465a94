"""What a batch of events changes in the session registry, and what of it each of them ends: one transaction, in turn.

First the ends are remembered, then the sessions that began, then it is read what is ended. So of a start and an end
that come at the same time, in whatever process and order, one sees the other. A batch that comes again, because the
process died in between, finds the same.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from tasks.catalogue import Catalogue
from tasks.events import EnabledData, Event, SessionsData, StartedData, UserData
from tasks.events.model import JweCredential, Session
from tasks.instants import EXPIRY_MARGIN, after, before
from tasks.registry import Registered
from tasks.sealing import kid_of
from worker.database.cipher import RowCipher, UnreadableRow
from worker.database.engine import Database
from worker.intake.registry import store
from worker.intake.registry.ends import End
from worker.intake.registry.store import EndKey, RegisteredRow
from worker.settings.registry import RegistrySettings

Ends = Mapping[str, Mapping[str, End]]  # by the hash that is ended, and by the source that said it

OVERLAP: Final = timedelta(hours=1)  # the end of an id is remembered longer than a start may be late


@dataclass(frozen=True, slots=True)
class Start:
    """A session that an event began."""

    session: Session
    row: RegisteredRow
    names: Sequence[Mapping[str, str]]
    is_too_long: bool

    @property
    def ended_with(self) -> list[str]:
        """The hashes whose end is its end."""
        return [*(each["name"] for each in self.names), *([self.row.session_id] if self.row.session_id else [])]


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a session that began: when it was ended, if it was, and whether it is kept."""

    start: Start
    ended_at: datetime | None
    is_kept: bool


@dataclass(slots=True)
class Room:
    """How many sessions may be added, in all and of one person."""

    left: int
    of_person: int
    counts: Counter[str]  # of sessions, by the hash of a name
    known: set[str]
    added: Counter[str] = field(default_factory=Counter)  # by provider

    def takes(self, start: Start, *, is_forced: bool) -> bool:
        """Whether there is room for *start*, which takes it then; for what is known, or *is_forced*, there is."""
        if start.row.session in self.known:
            return True
        names = [each["name"] for each in start.names]
        is_full = self.left < 1 or any(self.counts[name] >= self.of_person for name in names)
        if is_full and not is_forced:
            return False
        self.left -= 1
        self.known.add(start.row.session)
        self.counts.update(names)
        self.added[start.row.provider] += 1
        return True


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the registry knows for each event of a batch, in their order, and how many sessions it has more."""

    registered: list[Registered]
    added: Counter[str]  # by provider


@dataclass(frozen=True)
class Resolver:
    """That of an installation; the start of a session may be *late* by so much."""

    catalogue: Catalogue
    cipher: RowCipher = field(repr=False)
    settings: RegistrySettings
    late: timedelta
    reach: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by source; none named: every provider

    def resolve(self, events: Sequence[Event], now: datetime, kept: int, database: Database) -> Resolved:
        """Remember what *events* say, and find what they end, where so many sessions are *kept*."""
        starts = [[*self._starts(event, now)] for event in events]
        with store.turn(database) as connection:
            ended_before = store.ends_of(connection, [name for event in events for name in self._ids(event)])
            self._note_ends(connection, events, now)
            begun, added = self._begin(connection, starts, self.settings.max_sessions - kept)
            found = [
                answer if isinstance(event.data, StartedData) else self._ended(connection, event, ended_before)
                for event, answer in zip(events, begun, strict=True)
            ]
            store.note_ending(connection, [*self._ending(events, found)], now)
        return Resolved(found, added)

    def _starts(self, event: Event, now: datetime) -> Iterator[Start]:
        """The sessions of a `session.started` that can be ended, and do not end by themselves before."""
        if not isinstance(event.data, StartedData):
            return
        names, longest = self.catalogue.subjects.names(event), after(event.time, self.settings.longest)
        for session in filter(self.catalogue.ends, event.data.sessions):
            key, stated = self._key(session), session.expires_at
            expires_at = longest if stated is None or stated < before(event.time, EXPIRY_MARGIN) else stated
            row = RegisteredRow(
                session=key,
                provider=session.provider,
                sealed=self.cipher.seal(session.model_dump_json(exclude_unset=True).encode(), f"session {key}"),
                kid=kid_of(session.credential.jwe) if isinstance(session.credential, JweCredential) else None,
                session_id=self._id(event, session.session_id) if session.session_id else None,
                started_at=event.time,
                kept_until=after(expires_at, EXPIRY_MARGIN),
            )
            if row.kept_until > now:
                theirs = [{"name": each.exact, "session": key, "lookup": each.lookup} for each in names]
                yield Start(session, row, theirs, is_too_long=expires_at > longest)

    def _note_ends(self, connection: Connection, events: Sequence[Event], now: datetime) -> None:
        ends: dict[EndKey, End] = {}
        kept_until: dict[EndKey, datetime] = {}
        for event in events:
            disables = isinstance(event.data, UserData)
            if disables or isinstance(event.data, EnabledData):
                enabled_at = min(event.time, now)  # a clock that is ahead enables nobody before the event came
                end, kept = End(event.time) if disables else End(None, enabled_at), self.settings.longest
                names = [each.exact for each in self.catalogue.subjects.names(event)]
            else:
                end, kept, names = End(event.time), self.late + OVERLAP, self._ids(event)
            for key in ((name, event.source) for name in names):
                ends[key] = end.and_(ends.get(key, end))
                kept_until[key] = after(max(event.time, now), kept + EXPIRY_MARGIN)
        store.note_ends(connection, ends, kept_until)

    def _begin(
        self, connection: Connection, starts: Sequence[Sequence[Start]], left: int
    ) -> tuple[list[Registered], Counter[str]]:
        """Keep the sessions that began, as far as there is room; what must not live is kept until it is revoked."""
        every = [start for each in starts for start in each]
        ends = store.ends_of(connection, [name for start in every for name in start.ended_with])
        counts = Counter(store.how_many(connection, [name["name"] for start in every for name in start.names]))
        known = store.known(connection, [start.row.session for start in every])
        room = Room(left, self.settings.max_of_person, counts, known)
        fates = [[self._fate(start, ends, room) for start in each] for each in starts]
        kept = [fate.start for each in fates for fate in each if fate.is_kept]
        store.keep(connection, [start.row for start in kept], [name for start in kept for name in start.names])
        return [_answer(each) for each in fates], room.added

    def _fate(self, start: Start, ends: Ends, room: Room) -> Fate:
        ended_at = self._ended_at(start, ends)
        is_kept = not start.is_too_long and room.takes(start, is_forced=ended_at is not None)
        return Fate(start, ended_at, is_kept)

    def _ended_at(self, start: Start, ends: Ends) -> datetime | None:
        """When that happened which ends the session, if anything does."""
        row, leeway = start.row, timedelta(seconds=self.settings.leeway)
        said = (each for name in start.ended_with for each in ends.get(name, {}).items())
        every = (end for source, end in said if self._reaches(source, row))
        return max((end.ended_at for end in every if end.ended_at and end.covers(row.started_at, leeway)), default=None)

    def _reaches(self, source: str, row: RegisteredRow) -> bool:
        """Whether what *source* says may end the session: at a provider beyond its limit it ends none."""
        return row.provider in (self.reach.get(source) or {row.provider})

    def _ended(self, connection: Connection, event: Event, before: Ends) -> Registered:
        """What an event about a user, or about ids, ends."""
        rows = {row.session: row for row in self._older(connection, event) if self._reaches(event.source, row)}
        was_ended = any(end.ended_at for each in self._ids(event) for end in before.get(each, {}).values())
        opened = [*map(self._opened, sorted(rows.values(), key=lambda each: (each.started_at, each.session)))]
        sessions = tuple(each for each in opened if isinstance(each, Session))
        return Registered(
            sessions, unreadable=tuple(each for each in opened if isinstance(each, str)), was_ended=was_ended
        )

    def _older(self, connection: Connection, event: Event) -> Iterator[RegisteredRow]:
        """The sessions of the user, or of the ids, that began before *event*; one may come several times."""
        leeway = timedelta(seconds=self.settings.leeway)
        if isinstance(event.data, UserData):
            names = [each.exact for each in self.catalogue.subjects.names(event)]
            said = store.ends_of(connection, names)
            for name, row in store.of_names(connection, names):
                if replace(said[name][event.source], ended_at=event.time).covers(row.started_at, leeway):
                    yield row
        for row in store.of_ids(connection, self._ids(event)):
            if End(event.time).covers(row.started_at, leeway):
                yield row

    def _opened(self, row: RegisteredRow) -> Session | str:
        """The session of *row*; its provider where it cannot be decrypted: somebody must end it there."""
        try:
            return Session.model_validate_json(self.cipher.open(row.sealed, f"session {row.session}"))
        except UnreadableRow:
            return row.provider

    def _ending(self, events: Sequence[Event], found: Sequence[Registered]) -> Iterator[str]:
        """The sessions that are being ended, known or not: by an event that lists them, or by what was found."""
        for event, registered in zip(events, found, strict=True):
            listed = () if isinstance(event.data, StartedData) else event.data.sessions
            yield from map(self._key, (*listed, *registered.sessions))

    def _ids(self, event: Event) -> list[str]:
        ids = event.data.session_ids if isinstance(event.data, SessionsData) else ()
        return [self._id(event, each) for each in ids]

    def _id(self, event: Event, session_id: str) -> str:
        issuer = event.data.session_issuer if isinstance(event.data, SessionsData | StartedData) else None
        return self.catalogue.subjects.session(issuer or event.source, session_id)

    def _key(self, session: Session) -> str:
        """The keyed hash of what the session's call hits: `ProviderCall.target`."""
        [credential] = session.credential.model_dump().values()
        return self.catalogue.subjects.target((session.provider, "token", credential)) or ""


def _answer(fates: Sequence[Fate]) -> Registered:
    refused = [each.start for each in fates if not each.is_kept and each.ended_at is None]
    return Registered(
        sessions=tuple(each.start.session for each in fates if each.ended_at is not None),
        ended_at=max((each.ended_at for each in fates if each.ended_at is not None), default=None),
        refused=tuple(start.session for start in refused if not start.is_too_long),
        too_long=tuple(start.session for start in refused if start.is_too_long),
    )
