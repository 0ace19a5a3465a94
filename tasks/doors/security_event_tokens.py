"""Security Event Tokens: a transmitter of shared signals pushes what it has noticed about its users.

The token is that of RFC 8417, the push and its errors those of RFC 8935. It may tell events of CAEP 1.0, RISC 1.0 and
SCIM (RFC 9967); those about a whole user become events of ours, any other is taken and asks for nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from pydantic import Field

from tasks.doors.door import Answer, Arrival, ForeignEvent, Kind, Verdict, Word
from tasks.doors.security_events import VERIFICATION, Meaning, Reading, meaning_of, told
from tasks.doors.sessions import SessionDoorSettings
from tasks.doors.settings import LENIENT, IssuedDoorSettings
from tasks.doors.statuses import STATUSES
from tasks.doors.swept import AccessSettings, EndpointUrl
from tasks.doors.tokens import Claims, Expected, Fault, verified
from tasks.events import SESSION_ENDED, USER_DISABLED, USER_ENABLED

TYPE: Final = "secevent+jwt"
# The codes of RFC 8935, section 2.4, for the faults of a token and for our refusals; any other is invalid_request.
_CODES: Final[Mapping[str, str]] = {
    "key": "invalid_key",
    "signature": "authentication_failed",
    "iss": "invalid_issuer",
    "aud": "invalid_audience",
    Word.UNPROVED: "authentication_failed",
    Word.NOT_ALLOWED: "access_denied",
}
_FAULTS: Final[Mapping[str, str]] = {
    "form": "the body is not a signed token",
    "key": "none of the issuer's keys signed it",
    "signature": "its signature does not hold",
    "typ": f"typ is not {TYPE}",
    "iss": "iss is not the issuer that is expected here",
    "aud": "aud does not name this receiver",
    "exp": "exp must not be there",
    "iat": "iat is missing or lies ahead",
    "nbf": "nbf lies ahead",
}


class Settings(IssuedDoorSettings, AccessSettings, SessionDoorSettings):
    """A door of this kind."""

    subject_issuer: str | None = Field(
        None,
        min_length=1,
        max_length=512,
        description="The `iss` by which events name the people of SCIM events, with their externalId as `sub`",
    )
    poll_url: EndpointUrl | None = Field(
        None, description="Where the transmitter lets its tokens be polled (RFC 8936): then nothing is pushed here"
    )
    transmitter_url: EndpointUrl | None = Field(
        None, description="Where the transmitter describes itself; unset: below `/.well-known/` of its issuer (SSF 1.0)"
    )
    poll_size: int = Field(100, ge=1, le=1000, description="Tokens that are asked for at once")
    sweep_timeout: float = Field(
        90.0, ge=0.1, le=600, description="Seconds for one answer: more than the transmitter holds a long poll for"
    )
    untyped_tokens: bool = Field(
        default=False, description=f"Lets in tokens whose `typ` is not `{TYPE}`", json_schema_extra=LENIENT
    )
    draft_subjects: bool = Field(
        default=False,
        description="Takes the subject from inside the event where `sub_id` is missing, and reads `subject_type`, as "
        "senders of drafts need it",
        json_schema_extra=LENIENT,
    )
    millisecond_times: bool = Field(
        default=False,
        description="Reads an `event_timestamp` above 100000000000 as milliseconds",
        json_schema_extra=LENIENT,
    )

    @property
    def is_pushed(self) -> bool:
        """A stream is pushed or polled (SSF 1.0, section 6)."""
        return self.poll_url is None

    @property
    def is_swept(self) -> bool:
        """Likewise."""
        return self.poll_url is not None


class SecurityEventTokens:
    """One such door."""

    def __init__(self, settings: Settings) -> None:
        self._expected = Expected(
            settings.issuer,
            settings.audience,
            frozenset({TYPE}),
            any_type=settings.untyped_tokens,
            needs_expiry=False,
        )
        self._reading = Reading(
            settings.subject_issuer, settings.ends_sessions, settings.draft_subjects, settings.millisecond_times
        )

    def judge(self, arrival: Arrival) -> Verdict:
        """Return what the token in *arrival* comes to."""
        if arrival.method != "POST" or arrival.path:
            return Verdict(self.refuse(Word.UNSUPPORTED), Word.UNSUPPORTED)
        token = arrival.body.decode("ascii", errors="replace").strip()
        claims = verified(token, arrival.keys, self._expected, arrival.at)
        if isinstance(claims, Fault):
            answer = _failed(_CODES.get(claims.why, "invalid_request"), _FAULTS[claims.why])
            return Verdict(answer, Word.UNPROVED, wants_keys=claims.why == "key")
        fault = _fault(claims)
        return _malformed(fault) if fault else self._verdict(claims)

    def refuse(self, why: Word) -> Answer:
        """Return the status for *why*, with a code and a description as in RFC 8935, section 2.3."""
        answer = _failed(_CODES.get(why, "invalid_request"), why.value, STATUSES.get(why, 400))
        challenge = {"WWW-Authenticate": "Bearer"} if why is Word.UNPROVED else {}
        return replace(answer, headers={**answer.headers, **challenge})

    def _verdict(self, claims: Claims) -> Verdict:
        known = _known(claims.members["events"])
        if not known:
            word = Word.CHALLENGE if VERIFICATION in claims.members["events"] else Word.NOTHING
            return Verdict(Answer(202), word)
        found = [told(claims, each, payload, self._reading) for each, payload in known]
        if Word.MALFORMED in found:
            return _malformed("an event has no subject or time that is readable")
        events = [each for each in found if isinstance(each, ForeignEvent)]
        if len(types := {each.type for each in events}) > 1 and USER_ENABLED in types:
            return _malformed("one token says disabled and enabled")
        return Verdict(Answer(202), Word.ACCEPTED if events else Word.UNKNOWN, _numbered(events))


def _known(events: Mapping[str, Any]) -> list[tuple[Meaning, object]]:
    """Those of *events* that mean something here, in an order that is not the sender's."""
    return [(meaning, events[uri]) for uri in sorted(events) if (meaning := meaning_of(uri))]


def _numbered(events: list[ForeignEvent]) -> tuple[ForeignEvent, ...]:
    """Several events of one token (RFC 9967 allows it) have their number in their names."""
    if len(events) == 1:
        return tuple(events)
    return tuple(replace(each, foreign_id=f"{each.foreign_id}:{number}") for number, each in enumerate(events))


def _fault(claims: Claims) -> str | None:
    """What RFC 8417 and Shared Signals 1.0 ask of a token beyond its proof."""
    events = claims.members.get("events")
    if forbidden := [name for name in ("exp", "sub") if name in claims.members]:
        return f"{forbidden[0]} must not be there"
    if claims.text("jti") is None:
        return "jti is missing"
    return None if isinstance(events, dict) and events else "events is missing"


def _malformed(why: str) -> Verdict:
    return Verdict(_failed("invalid_request", why), Word.MALFORMED)


def _failed(code: str, description: str, status: int = 400) -> Answer:
    answer = Answer.json(status, {"err": code, "description": description})
    return replace(answer, headers={**answer.headers, "Content-Language": "en"})


KIND: Final = Kind(
    "security-event-tokens",
    Settings,
    SecurityEventTokens,
    (SESSION_ENDED, USER_DISABLED, USER_ENABLED),
    proves_itself=True,
    pull="tasks.doors.security_event_poll:SecurityEventPoll",
)
