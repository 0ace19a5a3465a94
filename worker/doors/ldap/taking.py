"""News of a directory become transitions and events, in the one transaction that also keeps where the next begin."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from tasks.doors.ldap.people import Known, Names, News, Person, Transition, is_stale, missed, seen
from worker.doors.ldap.store import DirectoryStore, KnownRow, Standing
from worker.doors.outbox import OutgoingEvent

AT_ONCE: Final = 500  # transitions in one transaction: the outbox has room for so many

Kept = tuple[str, Known, Names]


class Why(StrEnum):
    """Why a directory is held."""

    FLOOD = "flood"  # it would disable or enable more people than the settings let it
    CONTRADICTION = "contradiction"  # it says of people that they are gone who are there


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of news."""

    transitions: int = 0
    is_all: bool = True  # else the rest of them is to be taken next
    is_forgotten: bool = False  # an operator has had the directory forgotten: it is to be read from the start
    held: Why | None = None
    people: int = 0  # who are concerned by that


@dataclass(frozen=True, slots=True)
class Move:
    """Somebody as they are to be known, and what happened to them, if that is an event."""

    person: bytes  # digest
    kept: Kept
    transition: Transition | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What news come to."""

    kept: Sequence[Kept]  # people to whom nothing happened that is an event
    transitions: Sequence[Move]
    active_before: int  # of everybody; less than none where the news are not of everybody


def departed(store: DirectoryStore, news: News) -> list[str]:
    """Return the ids of those active who are not there any more, if *news* is true."""
    rows = _rows(store, news)
    return [store.opened(row)[0] for row in _missing(store, news, rows) if row.known.is_active]


def hold(store: DirectoryStore, why: Why, people: Iterable[bytes]) -> Taken:
    """Hold the directory: nothing of it is taken."""
    people = [*people]
    store.hold(why, people, datetime.now(UTC))
    return Taken(held=why, people=len(people))


def take(
    news: News,
    limit: int,
    event_of: Callable[[Transition], OutgoingEvent],
    opened: Callable[[Connection], DirectoryStore],
) -> Callable[[Connection], tuple[Taken, Sequence[OutgoingEvent]]]:
    """Return the job that takes *news*, or holds the directory where more than *limit* people would change."""

    def job(connection: Connection) -> tuple[Taken, Sequence[OutgoingEvent]]:
        store = opened(connection)
        store.take_turn()
        standing = store.standing()
        if standing.cursor is None and not news.is_whole:
            return Taken(is_forgotten=True), ()
        changes = _changes(store, news)
        people = {each.person for each in changes.transitions}
        if _is_flood(changes, people - _released(standing), limit):
            return hold(store, Why.FLOOD, people), ()
        done = changes.transitions[:AT_ONCE]
        store.put([*changes.kept, *(each.kept for each in done)])
        is_all = len(done) == len(changes.transitions)
        if is_all:
            store.move(news.cursor or standing.cursor, datetime.now(UTC))
        return Taken(len(done), is_all), [event_of(each.transition) for each in done if each.transition]

    return job


def _released(standing: Standing) -> frozenset[bytes]:
    return standing.held_people if standing.is_released else frozenset()


def _is_flood(changes: Changes, unreleased: set[bytes], limit: int) -> bool:
    """More than the settings let it, or everybody: an answer without anybody is never believed by itself."""
    disabled = {each.person for each in changes.transitions if not each.kept[1].is_active} & unreleased
    return len(unreleased) > limit or 1 < len(disabled) == changes.active_before


def _changes(store: DirectoryStore, news: News) -> Changes:
    rows = _rows(store, news)
    moves = [*_told(store, news, rows), *_gone(store, news, rows)]
    active = sum(row.known.is_active for row in rows.values()) if news.is_whole else -1
    return Changes(
        [each.kept for each in moves if not each.transition], [each for each in moves if each.transition], active
    )


def _told(store: DirectoryStore, news: News, rows: Mapping[bytes, KnownRow]) -> Iterator[Move]:
    """Whoever is told of, and is not as they were known."""
    for told in news.people.values():
        digest = store.digest(told.person_id)
        row = rows.get(digest)
        before, person = row.known if row else None, _named(store, told, row)
        if person is None or (before and not news.is_whole and is_stale(before, person)):
            continue  # a stranger without a name; or of a process that hears late what another one has taken
        after, transition = seen(before, person)
        if after != before:
            yield Move(digest, (person.person_id, after, person.names), transition)


def _gone(store: DirectoryStore, news: News, rows: Mapping[bytes, KnownRow]) -> Iterator[Move]:
    for row in _missing(store, news, rows):
        person_id, names = store.opened(row)
        after, transition = missed(row.known, person_id, names)
        yield Move(row.person, (person_id, after, names), transition)


def _named(store: DirectoryStore, person: Person, row: KnownRow | None) -> Person | None:
    """Return *person* by the names that they had where they have none any more; None of a stranger without one."""
    if person.names.user or row is None:
        return person if person.names.user else None
    names = store.opened(row)[1]
    return replace(person, names=names) if names.user else None


def _rows(store: DirectoryStore, news: News) -> dict[bytes, KnownRow]:
    """Return whom *news* may change: everybody, where it tells of all who are there."""
    if news.is_whole:
        return store.everybody()
    return store.known(store.digest(each) for each in {*news.people, *news.deleted})


def _missing(store: DirectoryStore, news: News, rows: Mapping[bytes, KnownRow]) -> list[KnownRow]:
    """Return those known who are not there, if *news* is true."""
    if news.is_whole:
        there = {store.digest(each) for each in news.mentioned()} - {store.digest(each) for each in news.deleted}
        return [row for row in rows.values() if not row.known.is_gone and row.person not in there]
    deleted = {store.digest(each) for each in news.deleted}
    return [row for row in rows.values() if not row.known.is_gone and row.person in deleted]
