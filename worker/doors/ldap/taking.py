"""News of a directory become transitions and events, in the one transaction that also keeps where the next begin."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from tasks.doors.ldap.people import Known, Names, News, Transition, is_stale, missed, seen
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
class Changes:
    """What news come to."""

    kept: Sequence[Kept]  # people to whom nothing happened that is an event
    transitions: Sequence[tuple[bytes, Transition]]
    active_before: int


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
            return Taken(is_all=True, is_forgotten=True), ()
        changes = _changes(store, news)
        people = {person for person, _ in changes.transitions}
        if _is_flood(changes, people - _released(standing), limit):
            return hold(store, Why.FLOOD, people), ()
        done = changes.transitions[:AT_ONCE]
        is_all = len(done) == len(changes.transitions)
        store.put([*changes.kept, *((each.person_id, each.known, each.names) for _, each in done)])
        if is_all:
            store.move(news.cursor or standing.cursor, datetime.now(UTC))
        return Taken(len(done), is_all), [event_of(each) for _, each in done]

    return job


def _released(standing: Standing) -> frozenset[bytes]:
    return standing.held_people if standing.is_released else frozenset()


def _is_flood(changes: Changes, unreleased: set[bytes], limit: int) -> bool:
    """More than the settings let it, or everybody: an answer without anybody is never believed by itself."""
    disabled = {person for person, each in changes.transitions if not each.known.is_active} & unreleased
    return len(unreleased) > limit or 1 < len(disabled) == changes.active_before


def _changes(store: DirectoryStore, news: News) -> Changes:
    rows = _rows(store, news)
    kept: list[Kept] = []
    transitions: list[tuple[bytes, Transition]] = []
    for person in news.people.values():
        digest = store.digest(person.person_id)
        before = rows[digest].known if digest in rows else None
        if before and not news.is_whole and is_stale(before, person):
            continue  # of a process that hears late what another one has taken
        after, transition = seen(before, person)
        if transition:
            transitions.append((digest, transition))
        elif after != before:
            kept.append((person.person_id, after, person.names))
    for row in _missing(store, news, rows):
        person_id, names = store.opened(row)
        after, transition = missed(row.known, person_id, names)
        if transition:
            transitions.append((row.person, transition))
        else:
            kept.append((person_id, after, names))
    return Changes(kept, transitions, sum(row.known.is_active for row in rows.values()) if news.is_whole else -1)


def _rows(store: DirectoryStore, news: News) -> dict[bytes, KnownRow]:
    """Return whom *news* may change: everybody, where it tells of all who are there."""
    if news.is_whole:
        return store.everybody()
    return store.known(store.digest(each) for each in {*news.people, *news.deleted})


def _missing(store: DirectoryStore, news: News, rows: dict[bytes, KnownRow]) -> list[KnownRow]:
    """Return those known who are not there, if *news* is true."""
    if news.is_whole:
        there = {store.digest(each) for each in news.mentioned()} - {store.digest(each) for each in news.deleted}
        return [row for row in rows.values() if not row.known.is_gone and row.person not in there]
    deleted = {store.digest(each) for each in news.deleted}
    return [row for row in rows.values() if not row.known.is_gone and row.person in deleted]
