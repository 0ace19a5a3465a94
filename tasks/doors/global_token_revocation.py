"""Global Token Revocation: an identity provider commands that a user be logged out everywhere.

After draft-parecki-oauth-global-token-revocation-06, and as Okta's Universal Logout and Auth0 send it: a POST of
`{"sub_id": …}` (of older drafts, and theirs: `{"subject": …}`), authorised by a JWT that the provider signs for us. Who
is commanded here is logged out at every provider: a `user.disabled`.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field

from tasks.doors.door import Answer, Arrival, ForeignEvent, Kind, Verdict, Word
from tasks.doors.settings import LENIENT, IssuedDoorSettings
from tasks.doors.statuses import STATUSES
from tasks.doors.subjects import subject_of
from tasks.doors.tokens import Claims, Expected, Fault, verified
from tasks.events import USER_DISABLED
from tasks.strict_json import MalformedJsonError, decode

TYPE: Final = "global-token-revocation+jwt"
REASON: Final = "global-token-revocation"
_SCHEME: Final = "bearer "


class Settings(IssuedDoorSettings):
    """A door of this kind."""

    token_subject: str | None = Field(
        None, max_length=512, description="The `sub` that its tokens must have: Okta's client id of our application"
    )
    untyped_tokens: bool = Field(
        default=False,
        description=f"Lets in tokens whose `typ` is not `{TYPE}`: any token of the issuer for us is a command then",
        json_schema_extra=LENIENT,
    )


class GlobalTokenRevocation:
    """One such door."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._expected = Expected(
            settings.issuer, settings.audience, frozenset({TYPE}), any_type=settings.untyped_tokens
        )

    def judge(self, arrival: Arrival) -> Verdict:
        """Return what the command *arrival* comes to."""
        if arrival.method != "POST" or arrival.path:
            return self._refused(Word.UNSUPPORTED)
        claims = self._claims(arrival)
        if isinstance(claims, Fault):
            return Verdict(self.refuse(Word.UNPROVED), Word.UNPROVED, wants_keys=claims.why == "key")
        if self._settings.token_subject not in {None, claims.text("sub")}:
            return self._refused(Word.NOT_ALLOWED)
        subject = _subject(arrival.body)
        if subject is None:
            return self._refused(Word.MALFORMED)
        return Verdict(Answer(204), Word.ACCEPTED, (_event(claims, subject),))

    def refuse(self, why: Word) -> Answer:
        """Return the status for *why*, as in section 5 of the draft; its bodies say nothing."""
        headers = {"WWW-Authenticate": "Bearer"} if why is Word.UNPROVED else {}
        return Answer(STATUSES.get(why, 400), headers=headers)

    def _refused(self, why: Word) -> Verdict:
        return Verdict(self.refuse(why), why)

    def _claims(self, arrival: Arrival) -> Claims | Fault:
        written = arrival.headers.get("Authorization", "")
        if not written.lower().startswith(_SCHEME):
            return Fault("form")
        return verified(written[len(_SCHEME) :].strip(), arrival.keys, self._expected, arrival.at)


def _subject(body: bytes) -> Mapping[str, Any] | None:
    """Whom *body* names, under either name; None where it names nobody, or two."""
    try:
        document = decode(body)
    except MalformedJsonError:
        return None
    named = [document[name] for name in ("sub_id", "subject") if name in document] if isinstance(document, dict) else []
    return subject_of(named[0], old_names=True) if named and all(each == named[0] for each in named) else None


def _event(claims: Claims, subject: Mapping[str, Any]) -> ForeignEvent:
    """One token may authorise commands about several people, so the person is part of the event's name."""
    token = claims.text("jti") or json.dumps(dict(claims.members), sort_keys=True)
    written = json.dumps([token, dict(subject)], sort_keys=True)
    data = {"sub_id": subject, "reason": REASON, "initiating_entity": "admin"}
    return ForeignEvent(USER_DISABLED, hashlib.sha256(written.encode()).hexdigest(), claims.issued, data)


KIND: Final = Kind("global-token-revocation", Settings, GlobalTokenRevocation, (USER_DISABLED,), proves_itself=True)
