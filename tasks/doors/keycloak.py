"""Keycloak's events: by the webhooks of the extension `keycloak-events`, or by its extension for RabbitMQ.

A webhook has one event, and proves itself by an HMAC of the body in X-Keycloak-Signature, or by a token that the realm
signs and that has the digest of the body. What is not answered with 2xx is sent again, for a quarter of an hour. Who
publishes a message at the broker is proved by the broker alone: whoever may write to the exchange is believed.
"""

import hmac
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from pydantic import Field, model_validator

from tasks.doors.door import Answer, Arrival, ForeignEvent, Kind, Verdict, Word
from tasks.doors.keycloak_events import OF_USERS, Realm, told
from tasks.doors.sessions import SessionDoorSettings
from tasks.doors.settings import KeySource, Subscribed, check_keys
from tasks.doors.statuses import STATUSES
from tasks.doors.tokens import Expected, Fault, verified
from tasks.events import SESSION_ENDED, USER_DISABLED
from tasks.strict_json import MalformedJsonError, decode

BODY_DIGEST: Final = "request_body_sha256"  # the claim, in lower-case hex digits
# KK.EVENT.ADMIN.<realm>.<result>.<resource>.<operation> and KK.EVENT.CLIENT.<realm>.<result>.<client>.<type>
ROUTING_KEYS: Final = ("KK.EVENT.ADMIN.*.SUCCESS.USER.*", *(f"KK.EVENT.CLIENT.*.SUCCESS.*.{kind}" for kind in OF_USERS))
_SCHEME: Final = "bearer "
_UNREADABLE: Final = "no event, or an update of a user without its representation"


class Settings(SessionDoorSettings):
    """A door of this kind."""

    hmac_header: str = Field(
        "X-Keycloak-Signature", pattern=r"^[A-Za-z0-9-]{1,64}$", description="Header that holds the HMAC"
    )
    realms: frozenset[str] = Field(
        min_length=1, description="The realm by its name and its id: events have the one or the other; no other's count"
    )
    issuer: str = Field(
        min_length=1,
        max_length=512,
        description="The realm's URL: the `iss` by which events name its people, with their Keycloak id as `sub`, and "
        "that of its tokens",
    )
    audience: str | None = Field(
        None,
        min_length=1,
        max_length=512,
        description="The `aud` of the tokens by which a webhook proves itself; needs jwks_uri or jwks_file",
    )
    jwks_uri: str | None = Field(
        None, pattern=r"^https?://", max_length=1024, description="Where the realm shows its public keys (JWK Set)"
    )
    jwks_file: Path | None = Field(None, description="File of them instead; read again when it changes")
    exchange: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9._:-]{1,127}$",
        description="Exchange of our RabbitMQ to which Keycloak's extension publishes, instead of a webhook: whoever "
        "may write there is believed, and the door has no URL",
    )
    ends_whole_user: bool = Field(
        default=False, description="A logout of one session ends everything of its user; else it is no event"
    )

    @model_validator(mode="after")
    def _has_keys(self) -> Self:
        if self.audience is not None:
            check_keys(self.jwks_uri, self.jwks_file)
        elif self.key_source:
            raise ValueError("audience: must be set with jwks_uri or jwks_file")
        if self.exchange and self.is_proved:
            raise ValueError("exchange: a message at the broker carries no other proof: leave those of webhooks out")
        return self

    @property
    def is_proved(self) -> bool:
        """Whether a proof is configured: one that every door can ask for, or the realm's token."""
        return super().is_proved or self.audience is not None

    @property
    def is_pushed(self) -> bool:
        """Whether a webhook brings its events."""
        return self.exchange is None

    @property
    def subscribed(self) -> Subscribed | None:
        """Where the extension for RabbitMQ publishes."""
        return None if self.exchange is None else Subscribed(self.exchange, ROUTING_KEYS)

    @property
    def key_source(self) -> KeySource | None:
        """Where the realm's public keys are found."""
        is_there = self.jwks_uri is not None or self.jwks_file is not None
        return KeySource(self.jwks_uri, self.jwks_file) if is_there else None


class Keycloak:
    """One such door."""

    def __init__(self, settings: Settings) -> None:
        self._realm = Realm(settings.realms, settings.issuer, settings.ends_whole_user, settings.ends_sessions)
        named = settings.audience
        self._expected = None if named is None else Expected(settings.issuer, named, frozenset({"jwt"}))

    def judge(self, arrival: Arrival) -> Verdict:
        """Return what the event in *arrival* comes to."""
        if arrival.method != "POST" or arrival.path:
            return Verdict(self.refuse(Word.UNSUPPORTED), Word.UNSUPPORTED)
        if fault := self._fault_of_proof(arrival):
            return Verdict(self.refuse(Word.UNPROVED), Word.UNPROVED, wants_keys=fault.why == "key")
        try:
            document = decode(arrival.body)
        except MalformedJsonError:
            document = None
        found = told(document, self._realm) if isinstance(document, dict) else Word.MALFORMED
        if isinstance(found, ForeignEvent):
            return Verdict(Answer(204), Word.ACCEPTED, (found,))
        malformed = found is Word.MALFORMED
        return Verdict(Answer.json(400, {"error": _UNREADABLE}) if malformed else Answer(204), found)

    def refuse(self, why: Word) -> Answer:
        """Return the status for *why*: the extension reads nothing else of an answer."""
        return Answer(STATUSES.get(why, 400))

    def _fault_of_proof(self, arrival: Arrival) -> Fault | None:
        """What is wrong with the realm's token, where one is asked for."""
        if self._expected is None:
            return None
        written = arrival.headers.get("Authorization", "")
        if not written.lower().startswith(_SCHEME):
            return Fault("form")
        claims = verified(written[len(_SCHEME) :].strip(), arrival.keys, self._expected, arrival.at)
        if isinstance(claims, Fault):
            return claims
        digest = claims.text(BODY_DIGEST) or ""
        is_of_body = hmac.compare_digest(digest.encode(errors="replace"), sha256(arrival.body).hexdigest().encode())
        return None if is_of_body else Fault("signature")


KIND: Final = Kind("keycloak", Settings, Keycloak, (SESSION_ENDED, USER_DISABLED))
