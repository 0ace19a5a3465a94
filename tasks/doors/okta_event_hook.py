"""Okta event hooks: an Okta organization tells what its System Log has just got.

One delivery has several log events, each with its own `uuid` and time; they come at least once and in any order. The
user is a `target` of most of them and the `actor` of `user.session.end`: elsewhere the actor is the administrator. Okta
waits three seconds, tries once more, and never after a status of 4xx: what may succeed later is answered with 503.
"""

from collections.abc import Mapping
from typing import Any, Final, Self

from pydantic import Field, model_validator

from tasks.doors.door import Answer, Arrival, ForeignEvent, Kind, Verdict, Word
from tasks.doors.sessions import SessionDoorSettings, session_ended
from tasks.doors.statuses import STATUSES
from tasks.doors.swept import SweptDoorSettings
from tasks.events import SESSION_ENDED, USER_DISABLED, USER_ENABLED
from tasks.instants import parse_instant
from tasks.providers.kind import BaseUrl, HeaderSecret
from tasks.strict_json import MalformedJsonError, decode

CHALLENGE: Final = "X-Okta-Verification-Challenge"
SESSION_END: Final = "user.session.end"
_MOST_CHALLENGE: Final = 1024  # characters
MEANINGS: Final[Mapping[str, str]] = {
    "user.lifecycle.deactivate": USER_DISABLED,
    "user.lifecycle.suspend": USER_DISABLED,
    "user.lifecycle.delete.completed": USER_DISABLED,
    "user.session.clear": USER_DISABLED,  # all sessions of a user, ended by an administrator
    "user.lifecycle.activate": USER_ENABLED,
    "user.lifecycle.reactivate": USER_ENABLED,
    "user.lifecycle.unsuspend": USER_ENABLED,
}
# Refusals of what may succeed later.
_LATER: Final = frozenset({Word.TOO_MANY, Word.TOO_SLOW})


class Settings(SweptDoorSettings, SessionDoorSettings):
    """A door of this kind."""

    subject_issuer: str = Field(
        min_length=1,
        max_length=512,
        description="The `iss` by which events name its people, with their Okta id as `sub`: mostly the URL of the "
        "organization",
    )
    ends_whole_user: bool = Field(
        default=False,
        description=f"The end of one session (`{SESSION_END}`) ends everything of its user; else it is no event",
    )
    max_body: int = Field(1_048_576, ge=256, le=1_048_576, description="Bytes of a body: a log event has some 4000")
    organization: BaseUrl | None = Field(
        None,
        description="URL of the organization, whose System Log `revoker sweep` looks through for what no delivery "
        "brought; unset: it is not looked at",
    )
    api_token: HeaderSecret | None = Field(None, description="API token (SSWS) of an administrator who may read it")

    @model_validator(mode="after")
    def _has_token(self) -> Self:
        if (self.organization is None) != (self.api_token is None):
            raise ValueError("set organization and api_token, or neither")
        return self

    @property
    def is_swept(self) -> bool:
        """Whether the System Log is looked through."""
        return self.organization is not None


class OktaEventHook:
    """One such door."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def judge(self, arrival: Arrival) -> Verdict:
        """Return what the delivery, or the challenge, in *arrival* comes to."""
        challenge = arrival.headers.get(CHALLENGE, "")
        if arrival.method == "GET" and not arrival.path and 0 < len(challenge) <= _MOST_CHALLENGE:
            return Verdict(Answer.json(200, {"verification": challenge}), Word.CHALLENGE)
        if arrival.method != "POST" or arrival.path:
            return Verdict(self.refuse(Word.UNSUPPORTED), Word.UNSUPPORTED)
        log_events = _log_events(arrival.body)
        return Verdict(self.refuse(Word.MALFORMED), Word.MALFORMED) if log_events is None else self._verdict(log_events)

    def refuse(self, why: Word) -> Answer:
        """Return the status for *why*: Okta reads nothing else of an answer."""
        return Answer(503 if why in _LATER else STATUSES.get(why, 400))

    def _verdict(self, log_events: list[object]) -> Verdict:
        """One that cannot be read takes no other with it: Okta sends none of them again."""
        told = [event for each in log_events for event in self.told(each)]
        events = tuple(each for each in told if isinstance(each, ForeignEvent))
        if Word.MALFORMED in told:
            return Verdict(self.refuse(Word.MALFORMED), Word.MALFORMED, events)
        word = Word.ACCEPTED if events else Word.UNKNOWN if Word.UNKNOWN in told else Word.NOTHING
        return Verdict(Answer(204), word, events)

    def told(self, log_event: object) -> list[ForeignEvent | Word]:
        """Return our events of one of the log: none where it asks for nothing; else in a word why there is none."""
        if not isinstance(log_event, dict):
            return [Word.MALFORMED]
        name, outcome = log_event.get("eventType"), log_event.get("outcome")
        if not isinstance(outcome, dict) or outcome.get("result") != "SUCCESS" or not isinstance(name, str):
            return []
        if name == SESSION_END:
            return self._session_end(log_event)
        targets = log_event.get("target")
        return self._about(targets if isinstance(targets, list) else [], log_event) if name in MEANINGS else []

    def _session_end(self, log_event: Mapping[str, Any]) -> list[ForeignEvent | Word]:
        """Of the actor, and of one session; which tokens are of it, the session registry may know."""
        if not (self._settings.ends_whole_user or self._settings.ends_sessions):
            return [Word.UNKNOWN]
        told = self._about([log_event.get("actor")], log_event)
        context = log_event.get("authenticationContext")
        session = context.get("externalSessionId") if isinstance(context, dict) else None
        if self._settings.ends_whole_user or Word.MALFORMED in told:
            return told
        issuer = self._settings.subject_issuer
        return [
            session_ended(each.foreign_id, each.at, (issuer, session), SESSION_END, each.data["sub_id"])
            if isinstance(each, ForeignEvent) and isinstance(session, str)
            else Word.MALFORMED
            for each in told
        ]

    def _about(self, people: list[object], log_event: Mapping[str, Any]) -> list[ForeignEvent | Word]:
        users = [
            each["id"] for each in people if isinstance(each, dict) and each.get("type") == "User" and "id" in each
        ]
        uuid = log_event.get("uuid")
        try:
            at = parse_instant(log_event.get("published"))
        except ValueError:
            return [Word.MALFORMED]
        if not users or not all(isinstance(each, str) and each for each in [*users, uuid]):
            return [Word.MALFORMED]
        names = [str(uuid)] if len(users) == 1 else [f"{uuid}:{number}" for number in range(len(users))]
        kind = MEANINGS.get(log_event["eventType"], USER_DISABLED)
        return [
            ForeignEvent(kind, name, at, self._data(user, log_event)) for name, user in zip(names, users, strict=True)
        ]

    def _data(self, user: str, log_event: Mapping[str, Any]) -> dict[str, Any]:
        data: dict[str, Any] = {"sub_id": {"format": "iss_sub", "iss": self._settings.subject_issuer, "sub": user}}
        data["reason"] = log_event["eventType"]
        return data


def _log_events(body: bytes) -> list[object] | None:
    """Return those of the delivery in *body*; None where it is none."""
    try:
        document = decode(body)
    except MalformedJsonError:
        return None
    data = document.get("data") if isinstance(document, dict) else None
    events = data.get("events") if isinstance(data, dict) else None
    return events if isinstance(events, list) and events else None


KIND: Final = Kind(
    "okta-event-hook",
    Settings,
    OktaEventHook,
    (SESSION_ENDED, USER_DISABLED, USER_ENABLED),
    pull="tasks.doors.okta_system_log:OktaSystemLog",
)
