"""Events as typed, frozen values, as `contracts/event.schema.json` has them, and the one list of their types."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal, get_args

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from tasks.call import Lane
from tasks.events.fields import (
    Closed,
    EventId,
    InitiatingEntity,
    Maybe,
    Open,
    ProviderName,
    Reason,
    Source,
    Text128,
    Text256,
    Text512,
    Traceparent,
    UserId,
)
from tasks.events.subjects import SubId
from tasks.instants import Instant


class JweCredential(Closed):
    """A user's token, sealed for the worker (compact JWE, RFC 7516 section 7.1)."""

    jwe: Annotated[
        str,
        Field(
            max_length=16384,
            pattern=r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$",
            repr=False,
        ),
    ]


class ReferenceCredential(Closed):
    """Where a configured resolver finds the token: `<scheme>:<name>`."""

    ref: Annotated[str, Field(max_length=512, pattern=r"^[a-z][a-z0-9+.-]{1,31}:[\x21-\x7e]+$", repr=False)]


class TokenReferenceCredential(Closed):
    """The provider's own reference to a token, of no use without the worker's credential."""

    token_reference_id: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[\x21-\x7e]+$", repr=False)]


def _branch(value: object) -> str | None:
    names = list(value if isinstance(value, dict) else getattr(type(value), "model_fields", ()))
    return f"<{names[0]}>" if len(names) == 1 else None


Credential = Annotated[
    Annotated[JweCredential, Tag("<jwe>")]
    | Annotated[ReferenceCredential, Tag("<ref>")]
    | Annotated[TokenReferenceCredential, Tag("<token_reference_id>")],
    Discriminator(_branch),
]
"""Exactly one of the three."""


class Session(Closed):
    """One session of the subject at one provider, and what ends it."""

    provider: ProviderName
    credential: Credential
    session_id: Maybe[Text256] = None
    expires_at: Maybe[Instant] = None


class Account(Closed):
    """The subject's account at one provider."""

    user_id: UserId


def _all_different(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("lists a provider twice")
    return names


Sessions = Annotated[tuple[Session, ...], Field(strict=False, min_length=1, max_length=16)]
_ABSENT: Final[tuple[Session, ...]] = ()


def _one_of_both(value: object, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> tuple[Session, ...]:
    if bool(info.data.get("session_ids")) is not (value is _ABSENT):
        raise ValueError("needs sessions, or session_ids, and not both")
    return _ABSENT if value is _ABSENT else read(value)


class SessionsData(Open):
    """Which sessions' tokens must die, whose, and why: the sessions, or ids by which the session registry has them."""

    sub_id: Maybe[SubId] = None
    session_ids: Annotated[tuple[Text256, ...], Field(strict=False, min_length=1, max_length=16)] = ()
    session_issuer: Maybe[Text512] = None  # whose ids they are; None: the source's
    sessions: Annotated[Sessions, WrapValidator(_one_of_both)] = Field(default=_ABSENT, validate_default=True)
    reason: Maybe[Reason] = None
    initiating_entity: Maybe[InitiatingEntity] = None


class StartedData(Open):
    """Whose sessions began, and what ends them: kept by the session registry until then."""

    sub_id: SubId
    session_issuer: Maybe[Text512] = None  # whose ids the sessions have; None: the source's
    sessions: Sessions


class PersonData(Open):
    """Whom an event is about, and where their accounts are as far as the producer knows."""

    sub_id: SubId
    accounts: Annotated[Mapping[ProviderName, Account], Field(max_length=16)] = Field(default_factory=dict)


class UserData(PersonData):
    """Whose tokens must all die, and where their accounts and sessions are as far as the producer knows."""

    sessions: Annotated[tuple[Session, ...], Field(strict=False, max_length=16)] = ()
    providers: Annotated[
        tuple[ProviderName, ...], Field(strict=False, min_length=1, max_length=16), AfterValidator(_all_different)
    ] = ()
    reason: Maybe[Reason] = None
    initiating_entity: Maybe[InitiatingEntity] = None


class EnabledData(PersonData):
    """Who may be logged in again. It names no session: none that was ended begins anew."""

    sessions: ClassVar[tuple[Session, ...]] = ()
    reason: Maybe[Reason] = None
    initiating_entity: Maybe[InitiatingEntity] = None


class CloudEvent(Open):
    """The CloudEvents 1.0 attributes; extension attributes are in `model_extra`.

    The fields stand in the order in which their faults are reported.
    """

    specversion: Literal["1.0"]
    id: EventId
    source: Source
    type: str
    time: Instant
    subject: Annotated[str, Field(max_length=256)] | None = None
    datacontenttype: Literal["application/json", "application/json; charset=utf-8"] | None = None
    dataschema: Annotated[str, Field(max_length=256)] | None = None
    expirytime: Maybe[Instant] = None
    correlationid: Maybe[Text128] = None
    traceparent: Maybe[Traceparent] = None
    tracestate: Maybe[Annotated[str, Field(max_length=512)]] = None


class Event(CloudEvent):
    """An event of one of our types: whose tokens must die, or need to no more."""

    data: SessionsData | StartedData | UserData | EnabledData


class SessionEnded(Event):
    """Sessions of one subject ended; the tokens of exactly those sessions must die."""

    type: Literal["session.ended"]
    data: SessionsData


class SessionStarted(Event):
    """Sessions of a user began; they end with the next `user.disabled` of this user, or by their ids."""

    type: Literal["session.started"]
    data: StartedData


class UserDisabled(Event):
    """A user was disabled; every token of theirs must die."""

    type: Literal["user.disabled"]
    data: UserData


class UserEnabled(Event):
    """A user was enabled again; what is still to be done of an older `user.disabled` of its source is not done."""

    type: Literal["user.enabled"]
    data: EnabledData


@dataclass(frozen=True, slots=True)
class EventType:
    """One type of event."""

    model: type[Event]
    lane: Lane

    @property
    def name(self) -> str:
        """Its CloudEvents `type`, as the model has it."""
        return str(get_args(self.model.model_fields["type"].annotation)[0])

    @property
    def hits_user(self) -> bool:
        """Whether it is about a user and every token of theirs; else about those of listed sessions."""
        return issubclass(self._data, PersonData)

    @property
    def revokes(self) -> bool:
        """Whether it asks for calls. One that does not is let in only where a source's `types` name it."""
        return not issubclass(self._data, EnabledData | StartedData)

    @property
    def _data(self) -> type:
        annotation = self.model.model_fields["data"].annotation
        return annotation if isinstance(annotation, type) else object


USER_DISABLED: Final = "user.disabled"
"""The type that a `user.enabled` takes back; no other."""

USER_ENABLED: Final = "user.enabled"
SESSION_ENDED: Final = "session.ended"
SESSION_STARTED: Final = "session.started"

EVENT_TYPES: Final[dict[str, EventType]] = {
    each.name: each
    for each in (
        EventType(SessionEnded, Lane.ROUTINE),
        EventType(SessionStarted, Lane.ROUTINE),
        EventType(UserDisabled, Lane.URGENT),
        EventType(UserEnabled, Lane.ROUTINE),  # a flood of them delays no user.disabled
    )
}
