"""What a large ledger is about: people, their events over ninety days, and what became of each call.

Everything follows from the number of calls, so that two runs fill two databases alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final, NamedTuple

from tasks.outcome import State
from tasks.providers import finbourne, genesys, wibmo
from tasks.subject_index import SubjectIndex

SPAN: Final = timedelta(days=90)
AFTER: Final = timedelta(seconds=0.2)  # the event happened
BETWEEN: Final = timedelta(seconds=4)  # two attempts
BURST: Final = timedelta(minutes=10)
_BURST_FROM, _BURST_TO = 0.45, 0.5  # of all events, which come within BURST
_DOUBTED_FROM: Final = 0.99  # of all events: genesys-eu calls every token dead already from then on
_OPEN_FROM: Final = 0.997  # of all events: what has not come to an end yet
CALLS_PER_EVENT: Final = 2
_EVENTS_PER_PERSON: Final = 25
SOURCES: Final = ("urn:scale:sessions", "urn:scale:directory", "urn:scale:portal")
PROVIDERS: Final = ("genesys", "finbourne", "wibmo", "genesys-eu")
_SESSION: Final = (
    genesys.DELETE_TOKENS_ME,
    finbourne.INVALIDATE_TOKEN,
    wibmo.INVALIDATE_TOKEN,
    genesys.DELETE_TOKENS_ME,
)
DISABLED_OFTEN, LOGGED_OUT_OFTEN = 0, 1  # people with thousands of calls: the first one's events are all user.disabled
HEAVY: Final = (DISABLED_OFTEN, LOGGED_OUT_OFTEN)
_DISABLED: Final = 200  # of a thousand events are user.disabled
TENANT: Final = "acme"  # of a third of all events
_HEAVY_EVERY: Final = 200  # every so many events one is of person 0 and one of person 1, accounts of many programs
_OPEN: Final = (State.PLANNED, State.RETRYING, State.HELD)


class Person(NamedTuple):
    """Somebody, and the keyed hashes by which the ledger knows them."""

    email: str
    user_id: str
    keys: tuple[str, str]
    key: str


class Event(NamedTuple):
    """An event, and of whom it is."""

    number: int
    event_id: str
    source: str
    event_type: str
    occurred_at: datetime
    person: int
    is_tenants: bool


class Call(NamedTuple):
    """One call of an event, and what became of it."""

    event: Event
    number: int  # within its event
    call_id: str
    provider: str
    operation: str | None
    state: State
    attempt: int
    is_expired: bool  # its token, so that the provider need not be believed


@dataclass(frozen=True, slots=True)
class World:
    """Everything of a ledger with *calls* calls, the newest of which is of *now*."""

    calls: int
    index: SubjectIndex
    now: datetime
    secret: bytes = field(default=b"", repr=False)  # by which dead letters are signed

    @property
    def changes(self) -> int:
        """The number of the last change: an event is one, a call two."""
        return self.size * (1 + 2 * CALLS_PER_EVENT) + 1

    @property
    def size(self) -> int:
        """How many events there are."""
        return max(1, self.calls // CALLS_PER_EVENT)

    @property
    def people(self) -> int:
        """How many people there are."""
        return max(1, self.size // _EVENTS_PER_PERSON)

    def person(self, number: int) -> Person:
        """Person *number*, from 0."""
        email, user_id = f"person.{number}@example.com", uuid_of("user", number)
        keys = self.index.lookup(email), self.index.lookup(user_id)
        return Person(email, user_id, keys, digest("person", number))

    def events(self) -> Iterator[Event]:
        """Every event, the oldest first."""
        return map(self.event, range(self.size))

    def event(self, number: int) -> Event:
        """Event *number*, from 0."""
        person = self._person_of(number)
        is_disabled = person == DISABLED_OFTEN or _dice("type", number) < _DISABLED
        return Event(
            number,
            f"scale-{number:09d}",
            SOURCES[number % len(SOURCES)],
            "user.disabled" if is_disabled else "session.ended",
            self.now - SPAN + self._since_start(number / self.size),
            person,
            number % len(SOURCES) == 0,
        )

    def _person_of(self, number: int) -> int:
        heavy = {0: DISABLED_OFTEN, _HEAVY_EVERY // 2: LOGGED_OUT_OFTEN}
        return heavy.get(number % _HEAVY_EVERY, number * 7919 % self.people)

    @staticmethod
    def _since_start(share: float) -> timedelta:
        if not _BURST_FROM <= share < _BURST_TO:
            return SPAN * share
        return SPAN * _BURST_FROM + BURST * ((share - _BURST_FROM) / (_BURST_TO - _BURST_FROM))

    def calls_of(self, event: Event) -> Iterator[Call]:
        """The calls of *event*, at neighbouring providers."""
        first = _dice("provider", event.number)
        for number in range(CALLS_PER_EVENT):
            yield self._call(event, number, (first + number) % len(PROVIDERS))

    def _call(self, event: Event, number: int, place: int) -> Call:
        provider, dice = PROVIDERS[place], _dice("call", event.number * CALLS_PER_EVENT + number)
        share = event.number / self.size
        state = _state(provider, event.event_type, dice, is_doubted=share >= _DOUBTED_FROM)
        if share >= _OPEN_FROM and state is not State.NO_SESSION_KNOWN:
            state = _OPEN[dice % len(_OPEN)]
        is_wide = event.event_type == "user.disabled"
        operation = _SESSION[place] if not is_wide else genesys.DELETE_TOKEN if "genesys" in provider else None
        attempt = 0 if state in {State.PLANNED, State.NO_SESSION_KNOWN} else 3 if dice % 20 == 7 else 1
        call_id = uuid_of("call", event.number * CALLS_PER_EVENT + number)
        return Call(event, number, call_id, provider, operation, state, attempt, dice % 2 == 0)


def _state(provider: str, event_type: str, dice: int, *, is_doubted: bool) -> State:
    """Of a thousand sessions 140 are given up, 200 were dead already, 60 covered and 40 expired."""
    if event_type == "user.disabled" and "genesys" not in provider:
        return State.NO_SESSION_KNOWN
    if is_doubted and provider == "genesys-eu":
        return State.ALREADY_REVOKED
    bounds = ((140, State.DEAD), (340, State.ALREADY_REVOKED), (400, State.COVERED), (440, State.EXPIRED))
    succeeded = State.CONFIRMED if provider == "genesys" and event_type == "session.ended" else State.ACCEPTED
    return next((state for bound, state in bounds if dice < bound), succeeded)


def _dice(kind: str, number: int) -> int:
    """0 to 999, as chance has it, and always the same: what a person's events have in common does not show in it."""
    return int.from_bytes(blake2b(f"{kind}-{number}".encode(), digest_size=8).digest()) % 1000


def digest(kind: str, number: int) -> str:
    """32 hex digits, as a keyed hash has them."""
    return blake2b(f"{kind}-{number}".encode(), digest_size=16).hexdigest()


def uuid_of(kind: str, number: int) -> str:
    """An id in the form of a UUID."""
    text = digest(kind, number)
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-8{text[17:20]}-{text[20:]}"


def masked(person: Person) -> str:
    """How people see who it is."""
    return f"pe…@{person.email.partition('@')[2]}"


def settled_at(call: Call) -> datetime:
    """When the last attempt at *call* ended."""
    return call.event.occurred_at + AFTER + BETWEEN * max(0, call.attempt - 1)
