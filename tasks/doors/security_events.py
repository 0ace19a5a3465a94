"""What the events of shared signals and of SCIM mean here, whom they are about, and when they happened."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, get_args

from pydantic import TypeAdapter, ValidationError

from tasks.doors.door import ForeignEvent, Word
from tasks.doors.subjects import of_draft, subject_of
from tasks.doors.tokens import Claims, number
from tasks.events import SESSION_ENDED, USER_DISABLED, USER_ENABLED
from tasks.events.fields import InitiatingEntity, Reason

_CAEP: Final = "https://schemas.openid.net/secevent/caep/event-type/"
_RISC: Final = "https://schemas.openid.net/secevent/risc/event-type/"
_SCIM: Final = "urn:ietf:params:scim:event:"
_MOST_SECONDS: Final = 1e11  # the year 5138: a larger time counts milliseconds
_MOST_MILLISECONDS: Final = 1e15
_MAX_CORRELATION: Final = 128  # characters, as in the event contract
_SESSION_FORMATS: Final = frozenset({"jwt_id", "saml_assertion_id"})  # Shared Signals 1.0, section 3.4
_REASON: Final = TypeAdapter(Reason)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a kind of foreign event is here."""

    type: str  # of our event
    name: str  # its own, without the part that all of its standard have
    hits_sessions: bool = False  # of its subject, who may be one session


@dataclass(frozen=True, slots=True)
class Reading:
    """How a sender writes subjects and times."""

    subject_issuer: str | None = None
    ends_sessions: bool = False
    draft_subjects: bool = False
    millisecond_times: bool = False


_MEANINGS: Final[Mapping[str, Meaning]] = {
    f"{_CAEP}session-revoked": Meaning(USER_DISABLED, "session-revoked", hits_sessions=True),
    f"{_RISC}sessions-revoked": Meaning(USER_DISABLED, "sessions-revoked"),  # all of a user's; deprecated
    f"{_RISC}account-disabled": Meaning(USER_DISABLED, "account-disabled"),
    f"{_RISC}account-purged": Meaning(USER_DISABLED, "account-purged"),
    f"{_RISC}account-enabled": Meaning(USER_ENABLED, "account-enabled"),
    f"{_SCIM}prov:deactivate": Meaning(USER_DISABLED, "prov:deactivate"),
    f"{_SCIM}prov:delete": Meaning(USER_DISABLED, "prov:delete"),
    f"{_SCIM}prov:activate": Meaning(USER_ENABLED, "prov:activate"),
}

ASKED_FOR: Final = (
    f"{_CAEP}session-revoked",
    *(f"{_RISC}{name}" for name in ("account-disabled", "account-purged", "account-enabled")),
)
"""The events that a stream of ours is to deliver."""
VERIFICATION: Final = "https://schemas.openid.net/secevent/ssf/event-type/verification"


def meaning_of(uri: str) -> Meaning | None:
    """Return what the event type *uri* means here. Drafts of RFC 9967 wrote `SCIM` in capitals."""
    is_scim = uri.lower().startswith(_SCIM)
    return _MEANINGS.get(uri.lower() if is_scim else uri)


def told(claims: Claims, meaning: Meaning, payload: object, reading: Reading) -> ForeignEvent | Word:
    """Return our event of a foreign one; UNKNOWN where it names nobody to be found, MALFORMED where unreadable."""
    if not isinstance(payload, dict):
        return Word.MALFORMED
    named = _named(claims, payload, reading)
    subject, session = _whom(named, meaning, reading), _session(named, claims)
    at = _happened(claims, payload, reading)
    if at is None or subject is None:
        return Word.MALFORMED
    kind, data = meaning.type, {"sub_id": subject, "reason": _reason(payload) or meaning.name}
    if subject is Word.UNKNOWN and meaning.hits_sessions and reading.ends_sessions and session:
        kind, data = SESSION_ENDED, {**session, "reason": data["reason"]}
    elif isinstance(subject, Word):
        return subject
    if payload.get("initiating_entity") in get_args(InitiatingEntity):
        data["initiating_entity"] = payload["initiating_entity"]
    txn = claims.text("txn")
    correlation = txn if txn and len(txn) <= _MAX_CORRELATION else None
    return ForeignEvent(kind, claims.text("jti") or "", at, data, correlation)


def _session(subject: object, claims: Claims) -> Mapping[str, Any] | None:
    """The one session that *subject* names, as our events have it; by whose word its id has a meaning stands there."""
    match subject:
        case {"format": "complex", "session": session, **others}:
            user = others.get("user")
            whose = subject_of(user) if isinstance(user, dict) else None
            found = _session(session, claims)
            return found and {**found, **({"sub_id": whose} if whose else {})}
        case {"format": "opaque", "id": str(name)}:
            return {"session_ids": [name], "session_issuer": claims.members["iss"]}
        case (
            {"format": "jwt_id", "iss": str(issuer), "jti": str(name)}
            | {"format": "iss_sub", "iss": str(issuer), "sub": str(name)}
            | {"format": "saml_assertion_id", "issuer": str(issuer), "assertion_id": str(name)}
        ):
            return {"session_ids": [name], "session_issuer": issuer}
    return None


def _named(claims: Claims, payload: Mapping[str, Any], reading: Reading) -> object:
    """The subject as it is written; None where there is none, or two that differ."""
    if not reading.draft_subjects:
        return claims.members.get("sub_id")
    places = (claims.members.get("sub_id"), payload.get("subject"))
    written = [of_draft(each) for each in places if each is not None]
    return written[0] if written and all(each == written[0] for each in written) else None


def _whom(subject: object, meaning: Meaning, reading: Reading) -> Mapping[str, Any] | Word | None:
    """*subject* as our events have it; UNKNOWN where it is no person or one session alone; None where unreadable."""
    if not isinstance(subject, dict):
        return None
    match subject.get("format"):
        case "complex":
            return _person_in_parts(subject, meaning, reading)
        case "scim":
            return _person_of_scim(subject, reading)
        case str(name) if name in _SESSION_FORMATS:
            return Word.UNKNOWN
    found = subject_of(subject)
    # Without a stated meaning it is the name of a session, where sessions are what the event is about (CAEP 1.0, 3.1).
    return Word.UNKNOWN if found and found["format"] == "opaque" and meaning.hits_sessions else found


def _person_in_parts(subject: Mapping[str, Any], meaning: Meaning, reading: Reading) -> Mapping[str, Any] | Word | None:
    """The user of a complex subject, on whichever device; with the tenant, where one is named."""
    if "user" not in subject or ("session" in subject and meaning.hits_sessions):
        return Word.UNKNOWN
    if "tenant" in subject:
        return subject_of({name: subject[name] for name in ("format", "user", "tenant")})
    user = subject["user"]
    if isinstance(user, dict) and user.get("format") == "complex":
        return None
    return _whom(user, Meaning(meaning.type, meaning.name), reading)


def _person_of_scim(subject: Mapping[str, Any], reading: Reading) -> Mapping[str, Any] | Word | None:
    """The names of a SCIM user (RFC 9967, section 2.1); UNKNOWN for a resource of another type."""
    uri, external_id = subject.get("uri"), subject.get("externalId")
    if not isinstance(uri, str):
        return None
    if uri.casefold().split("/")[-2:-1] != ["users"]:
        return Word.UNKNOWN
    names: list[dict[str, object]] = [{"format": "uri", "uri": uri}]
    if external_id is not None and reading.subject_issuer:
        names.insert(0, {"format": "iss_sub", "iss": reading.subject_issuer, "sub": external_id})
    elif external_id is not None:
        names.insert(0, {"format": "opaque", "id": external_id})
    return subject_of(names[0] if len(names) == 1 else {"format": "aliases", "identifiers": names})


def _happened(claims: Claims, payload: Mapping[str, Any], reading: Reading) -> datetime | None:
    """When it did, as the event says, else the token; None where that is no time."""
    stated = payload.get("event_timestamp")
    if stated is None and "toe" not in claims.members:
        return claims.issued
    seconds = number(claims.members["toe"]) if stated is None else _seconds(stated, reading)
    return datetime.fromtimestamp(seconds, UTC) if seconds >= 0 else None


def _seconds(value: object, reading: Reading) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if reading.millisecond_times and is_number and _MOST_SECONDS < value < _MOST_MILLISECONDS:  # type: ignore[operator]
        return number(value / 1000)  # type: ignore[operator]
    return number(value) if is_number else math.nan


def _reason(payload: Mapping[str, Any]) -> str | None:
    """Why, in the sender's word where it is short: senders have more of them than the standard."""
    try:
        return _REASON.validate_python(payload.get("reason"))
    except ValidationError:
        return None
