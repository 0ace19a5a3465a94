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
from pathlib import Path
from typing import Any, Final, Protocol, Self, runtime_checkable
from urllib.parse import urlsplit

from joserfc.jwk import KeySet
from pydantic import Field, JsonValue, model_validator
from pydantic.fields import FieldInfo

from tasks.doors.accounts import Accounts
from tasks.events import EVENT_TYPES, Event, InvalidEvent, parse_event
from tasks.hosts import is_loopback
from tasks.strict_model import StrictModel

MAX_EVENT_ID: Final = 128  # characters, as in the event contract
LENIENT: Final[dict[str, JsonValue]] = {"lenient": True}
"""The `json_schema_extra` of a setting that lets in what the standard refuses: off by default, shown by the doctor."""


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


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where an issuer's public keys are: at a URL, or in a file."""

    jwks_uri: str | None = None
    jwks_file: Path | None = None


class CommonDoorSettings(StrictModel):
    """The settings that every door has."""

    kind: str
    path: str = Field(
        "", pattern=r"^(/[A-Za-z0-9._~-]+)*$", max_length=200, description="Path of its URL; unset: `/` and its name"
    )
    bearer_file: Path | None = Field(
        None,
        description="File of the secrets that a sender shows as `Authorization: Bearer`, one a line, mode 0600; read "
        "again when it changes",
    )
    hmac_file: Path | None = Field(
        None, description="File of the secrets by which a sender signs bodies (HMAC-SHA-256), likewise"
    )
    hmac_header: str = Field(
        "X-Signature",
        pattern=r"^[A-Za-z0-9-]{1,64}$",
        description="Header that holds the HMAC, in hex digits or base64, with or without `sha256=` before it",
    )
    client_names: frozenset[str] = Field(
        frozenset(),
        description="Names, of which the sender's client certificate must have one (DNS or URI of its SAN); needs "
        "`door.client_ca_file`",
    )
    max_body: int = Field(65_536, ge=256, le=1_048_576, description="Bytes of a body")
    rate: int = Field(600, ge=1, le=1_000_000, description="Requests a minute; more are told to come again")
    in_flight: int = Field(20, ge=1, le=1000, description="Requests at once; more are told to come again")
    timeout: float = Field(10.0, ge=0.1, le=120, description="Seconds in which a request must have come whole")

    @property
    def is_proved(self) -> bool:
        """Whether a proof is configured that the process checks."""
        return bool(self.bearer_file or self.hmac_file or self.client_names)

    @property
    def leniencies(self) -> tuple[str, ...]:
        """Names of the settings that let in what the standard refuses, as far as they are on."""
        fields = type(self).model_fields.items()
        return tuple(name for name, each in fields if is_leniency(each) and getattr(self, name) != each.default)

    @property
    def key_source(self) -> KeySource | None:
        """Where the public keys of its issuer are found; None for a kind that has no issuer."""
        return None


class IssuedDoorSettings(CommonDoorSettings):
    """Those of a kind whose requests carry a token that an issuer signs."""

    issuer: str = Field(min_length=1, max_length=512, description="Who signs: the `iss` of its tokens")
    audience: str = Field(min_length=1, max_length=512, description="For whom: the `aud` of its tokens, mostly our URL")
    jwks_uri: str | None = Field(
        None, pattern=r"^https?://", max_length=1024, description="Where the issuer shows its public keys (JWK Set)"
    )
    jwks_file: Path | None = Field(None, description="File of them instead; read again when it changes")

    @model_validator(mode="after")
    def _has_keys(self) -> Self:
        if self.jwks_uri and not (
            self.jwks_uri.startswith("https://") or is_loopback(urlsplit(self.jwks_uri).hostname or "")
        ):
            raise ValueError("jwks_uri: must be https://")
        if (self.jwks_uri is None) == (self.jwks_file is None):
            raise ValueError("set jwks_uri or jwks_file, and not both")
        return self

    @property
    def key_source(self) -> KeySource:
        """Return where the public keys of its issuer are found."""
        return KeySource(self.jwks_uri, self.jwks_file)


def is_leniency(field: FieldInfo) -> bool:
    """Whether the setting *field* lets in what the standard refuses."""
    return field.json_schema_extra == LENIENT


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of door: its settings, and what makes an adapter of them."""

    name: str
    settings: type[CommonDoorSettings]
    make: Callable[[Any], Adapter] | Callable[[Any], AccountAdapter]  # of the kind's own settings
    types: tuple[str, ...]  # of the events that it tells
    proves_itself: bool = False  # its adapter checks who sent a request: no other proof is asked for

    def __post_init__(self) -> None:
        assert set(self.types) <= EVENT_TYPES.keys(), self.name  # noqa: S101 - of a kind, not of input
