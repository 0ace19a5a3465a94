"""OIDC Back-Channel Logout 1.0: an OpenID provider tells that somebody was logged out there.

A logout token with `sub` alone means every session of the user: a `user.disabled`. With `sid` it means one session,
whose tokens the session registry may know: a `session.ended`. Where it is not used, that logout is answered as one that
failed, and not as done.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from pydantic import Field

from tasks.doors.door import Answer, Arrival, ForeignEvent, Kind, Verdict, Word
from tasks.doors.sessions import SessionDoorSettings, session_ended
from tasks.doors.settings import LENIENT, IssuedDoorSettings
from tasks.doors.statuses import STATUSES
from tasks.doors.tokens import Claims, Expected, Fault, verified
from tasks.events import SESSION_ENDED, USER_DISABLED

TYPE: Final = "logout+jwt"
EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
REASON: Final = "back-channel-logout"
# A logout token has none of them: an ID token has the first, access tokens the others (RFC 9068, section 2.2.3).
_FORBIDDEN: Final = ("nonce", "scope", "scp")
_MOST_FIELDS: Final = 16  # of the form
_NO_STORE: Final[Mapping[str, str]] = {"Cache-Control": "no-store"}


class Settings(IssuedDoorSettings, SessionDoorSettings):
    """A door of this kind."""

    ends_whole_user: bool = Field(
        default=False,
        description="A token that names one session (`sid`) ends everything of its `sub`; else it is answered with 400",
    )
    untyped_tokens: bool = Field(
        default=False,
        description=f"Lets in tokens without `typ`, or of type `JWT`, instead of `{TYPE}`",
        json_schema_extra=LENIENT,
    )
    tokens_without_expiry: bool = Field(
        default=False, description="Lets in tokens without `exp` (Keycloak before 23.0.4)", json_schema_extra=LENIENT
    )


class BackChannelLogout:
    """One such door."""

    def __init__(self, settings: Settings) -> None:
        self._ends_whole_user, self._ends_sessions = settings.ends_whole_user, settings.ends_sessions
        types = frozenset({TYPE, *(("", "jwt") if settings.untyped_tokens else ())})
        needs_expiry = not settings.tokens_without_expiry
        self._expected = Expected(settings.issuer, settings.audience, types, needs_expiry=needs_expiry)

    def judge(self, arrival: Arrival) -> Verdict:
        """Return what the logout in *arrival* comes to."""
        if arrival.method != "POST" or arrival.path:
            return self._refused(Word.UNSUPPORTED)
        token = _token(arrival.body)
        if token is None:
            return self._refused(Word.MALFORMED)
        claims = verified(token, arrival.keys, self._expected, arrival.at)
        if isinstance(claims, Fault):
            return Verdict(_failed(400, claims.why), Word.UNPROVED, wants_keys=claims.why == "key")
        fault = _fault(claims)
        return Verdict(_failed(400, fault), Word.MALFORMED) if fault else self._verdict(claims)

    def refuse(self, why: Word) -> Answer:
        """Return the status for *why*, with an error as OAuth has it (section 2.8)."""
        return _failed(STATUSES.get(why, 400), why.value)

    def _refused(self, why: Word) -> Verdict:
        return Verdict(self.refuse(why), why)

    def _verdict(self, claims: Claims) -> Verdict:
        subject, session, issuer = claims.text("sub"), claims.text("sid"), claims.members["iss"]
        name = claims.text("jti") or ""
        sub_id = {"format": "iss_sub", "iss": issuer, "sub": subject} if subject else None
        if session and self._ends_sessions:
            event = session_ended(name, claims.issued, (issuer, session), REASON, sub_id)
        elif sub_id is None or (session and not self._ends_whole_user):
            return Verdict(_failed(400, "one session cannot be ended here"), Word.UNKNOWN)
        else:
            event = ForeignEvent(USER_DISABLED, name, claims.issued, {"sub_id": sub_id, "reason": REASON})
        return Verdict(Answer(200, headers=_NO_STORE), Word.ACCEPTED, (event,))


def _token(body: bytes) -> str | None:
    """The one logout token of the form in *body*."""
    try:
        tokens = parse_qs(body.decode("ascii"), max_num_fields=_MOST_FIELDS).get("logout_token", [])
    except ValueError:
        return None
    return tokens[0] if len(tokens) == 1 else None


def _fault(claims: Claims) -> str | None:
    """What section 2.6 asks of a logout token beyond its proof: its claims in one word each."""
    events = claims.members.get("events")
    if forbidden := [name for name in _FORBIDDEN if name in claims.members]:
        return forbidden[0]
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        return "events"
    if claims.text("jti") is None:
        return "jti"
    named = [name for name in ("sub", "sid") if name in claims.members]
    return None if named and all(claims.text(name) for name in named) else "sub"


def _failed(status: int, why: str) -> Answer:
    answer = Answer.json(status, {"error": "invalid_request", "error_description": why})
    return Answer(status, answer.body, {**answer.headers, **_NO_STORE})


KIND: Final = Kind(
    "back-channel-logout", Settings, BackChannelLogout, (SESSION_ENDED, USER_DISABLED), proves_itself=True
)
