"""What a kind of door is: a pure function from a foreign request to an answer and our events.

The process that serves doors does the rest, for all kinds alike: limits, proofs, keys, and that nothing is answered
with 2xx before the events of it are safe.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, Protocol, runtime_checkable

from joserfc.jwk import KeySet

from tasks.doors.accounts import Accounts
from tasks.doors.settings import CommonDoorSettings
from tasks.doors.signals import Signals
from tasks.events import EVENT_TYPES, Event, InvalidEvent, parse_event

MAX_EVENT_ID: Final = 128  # characters, as in the event contract


class Word(StrEnum):
    """What became of a request, for the log, the metric, and the adapter that words a refusal."""

    ACCEPTED = "accepted"  # its events are safe
    NOTHING = "nothing"  # understood, and it asks for nothing
    CHALLENGE = "challenge"  # the sender asked whether we are who it means
    UNPROVED = "unproved"  # nobody we know said it
    NOT_ALLOWED = "not_allowed"  # somebody we know, who may not say this
    MALFORMED = "malformed"  # not of the protocol
    UNSUPPORTED = "unsupported"  # of the protocol, and nothing that we serve
    UNKNOWN = "unknown"  # about somebody or something that is not here
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"  # neither broker nor outbox took its events


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request as it came, its body whole. The proofs that the door's settings name did hold."""

    method: str
    path: str  # below the door's own: "" or "/Users/1"
    query: str  # as it was written, behind the `?`
    headers: Mapping[str, str] = field(repr=False)  # looked up in any case
    body: bytes = field(repr=False)
    at: datetime  # when it came
    keys: KeySet | None = field(default=None, repr=False)  # public keys of the door's issuer, where it has one


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, status: int, document: object, content_type: str = "application/json") -> "Answer":
        """Return one whose body is *document*."""
        return cls(status, json.dumps(document, separators=(",", ":")).encode(), {"Content-Type": content_type})


@dataclass(frozen=True, slots=True)
class ForeignEvent:
    """One of our events, as a foreign system told it. The same delivery makes the same event, whenever it comes."""

    type: str
    foreign_id: str  # what the sender calls it; nothing of our clock or of chance
    at: datetime  # when it happened, as the sender says
    data: Mapping[str, Any] = field(repr=False)
    correlationid: str | None = None

    @property
    def event_id(self) -> str:
        """The sender's own id where an event can have it, else its digest."""
        name = self.foreign_id
        is_fit = 0 < len(name) <= MAX_EVENT_ID and name.isascii() and name.isprintable() and " " not in name
        return name if is_fit else sha256(name.encode(errors="backslashreplace")).hexdigest()

    def body(self, source: str) -> bytes:
        """Return the event, which *source* tells of, as structured CloudEvents JSON: the same bytes each time."""
        document = {
            "specversion": "1.0",
            "id": self.event_id,
            "source": source,
            "type": self.type,
            "time": self.at.isoformat(),
            "data": self.data,
        }
        if self.correlationid:
            document["correlationid"] = self.correlationid
        return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()

    def parsed(self, source: str, now: datetime) -> Event | InvalidEvent:
        """Return what the intake will make of it."""
        return parse_event(self.body(source), now=now)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a request comes to. The answer is sent once all events are safe."""

    answer: Answer
    word: Word
    events: tuple[ForeignEvent, ...] = ()
    wants_keys: bool = False  # it names a key that is not known: a look at the issuer's keys may change the verdict
    looks: bool = False  # a reason to look at the source now


class Refusing(Protocol):
    """What every adapter can do."""

    def refuse(self, why: Word) -> Answer:
        """Return the answer in which the protocol says that a request is refused, and why."""


class Adapter(Refusing, Protocol):
    """One door of a kind."""

    def judge(self, arrival: Arrival) -> Verdict:
        """Return what *arrival* comes to. Does no I/O and never raises on input."""


@runtime_checkable
class AccountAdapter(Refusing, Protocol):
    """One door of a kind that keeps accounts: what it changes and its events are committed together, or not at all."""

    def changes(self, arrival: Arrival) -> bool:
        """Whether *arrival* may change an account."""

    def judge(self, arrival: Arrival, accounts: Accounts) -> Verdict:
        """Return what *arrival* comes to, with *accounts* changed as it asks. Never raises on input.

        Its events may have the time at which the request came: each is made once, when the account changes.
        """


@runtime_checkable
class SignalAdapter(Refusing, Protocol):
    """One door of a kind that keeps signals of ours for a receiver: nothing comes in by it, and it needs no source."""

    keeps_signals: bool

    def judge(self, arrival: Arrival, signals: Signals) -> Verdict:
        """Return what *arrival* comes to, with *signals* changed as it asks. Never raises on input."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of door: its settings, and what makes an adapter of them."""

    name: str
    settings: type[CommonDoorSettings]
    # Of its own settings; None: no push.
    make: Callable[[Any], Adapter] | Callable[[Any], AccountAdapter] | Callable[[Any], SignalAdapter] | None
    types: tuple[str, ...]  # of the events that it tells
    proves_itself: bool = False  # its adapter checks who sent a request: no other proof is asked for
    pull: str | None = None  # `module:Class` of what looks at the source, made of its own settings and a Reach

    def __post_init__(self) -> None:
        assert set(self.types) <= EVENT_TYPES.keys(), self.name  # noqa: S101 - of a kind, not of input
