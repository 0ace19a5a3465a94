"""Microsoft Graph's change notifications about the users of a tenant of Microsoft Entra.

A notification says that somebody has changed, and neither what nor how: it is a reason to look. What changed is asked
of the delta query, which also finds what no notification came for. Graph asks an address whether it is the one that is
meant, and waits three seconds for any answer; what was answered with 5xx it sends again, for four hours.
"""

import hmac
from typing import Final, Self
from urllib.parse import parse_qs

from pydantic import Field, model_validator

from tasks.doors.door import Answer, Arrival, Kind, Verdict, Word
from tasks.doors.statuses import STATUSES
from tasks.doors.swept import SweptDoorSettings
from tasks.events import USER_DISABLED, USER_ENABLED
from tasks.providers.kind import BaseUrl, HeaderSecret
from tasks.strict_json import MalformedJsonError, decode

VALIDATION: Final = "validationToken"
_MOST_FIELDS: Final = 16  # of a query
_LONGEST_TOKEN: Final = 4096  # characters
_SHORTEST_STATE, _LONGEST_STATE = 16, 128  # characters; Graph takes no longer one


class Settings(SweptDoorSettings):
    """A door of this kind."""

    tenant: str = Field(pattern=r"^[A-Za-z0-9.-]{1,128}$", description="The tenant, by its id or a domain of it")
    client_id: str = Field(min_length=1, max_length=128, description="Our application's id there")
    client_secret: HeaderSecret = Field(description="Its secret; it needs the application permission User.Read.All")
    subject_issuer: str = Field(
        min_length=1, max_length=512, description="The `iss` by which events name its people, with their id as `sub`"
    )
    client_state: HeaderSecret | None = Field(
        None,
        description="The `clientState` of the subscription, 16 to 128 characters, which each notification must show; "
        "unset: there is no subscription, and the door has no URL",
    )
    notification_url: BaseUrl | None = Field(
        None,
        description="How Graph reaches this door: `revoker sweep` makes the subscription and renews it; unset: "
        "somebody else does",
    )
    graph_url: BaseUrl = Field("https://graph.microsoft.com", description="Microsoft Graph, of a national cloud too")
    login_url: BaseUrl = Field("https://login.microsoftonline.com", description="Where our application logs in")

    @model_validator(mode="after")
    def _has_state(self) -> Self:
        state = self.client_state
        if state and not _SHORTEST_STATE <= len(state.get_secret_value()) <= _LONGEST_STATE:
            raise ValueError(f"client_state: must have {_SHORTEST_STATE} to {_LONGEST_STATE} characters")
        if self.notification_url and not state:
            raise ValueError("notification_url: needs client_state")
        return self

    @property
    def is_pushed(self) -> bool:
        """Whether there is a subscription."""
        return self.client_state is not None


class Graph:
    """One such door."""

    def __init__(self, settings: Settings) -> None:
        state = settings.client_state
        self._state = state.get_secret_value().encode() if state else None

    def judge(self, arrival: Arrival) -> Verdict:
        """Return what the notifications, or the question, in *arrival* come to."""
        if arrival.method != "POST" or arrival.path:
            return self._refused(Word.UNSUPPORTED)
        if VALIDATION in arrival.query:
            return self._asked(arrival.query)
        notifications = _notifications(arrival.body)
        if notifications is None:
            return self._refused(Word.MALFORMED)
        # Each of them, whichever does: one request may bring those of several subscriptions.
        if not all([self._is_ours(each) for each in notifications]):  # noqa: C419 - in constant time
            return self._refused(Word.UNPROVED)
        return Verdict(Answer(202), Word.ACCEPTED, looks=True)

    def refuse(self, why: Word) -> Answer:
        """Return the status for *why*: Graph reads nothing else of an answer."""
        return Answer(STATUSES.get(why, 400))

    def _refused(self, why: Word) -> Verdict:
        return Verdict(self.refuse(why), why)

    def _asked(self, query: str) -> Verdict:
        """The token comes back as plain text, and as nothing that a browser would take for anything else."""
        try:
            tokens = parse_qs(query, max_num_fields=_MOST_FIELDS).get(VALIDATION, [])
        except ValueError:
            tokens = []
        if len(tokens) != 1 or not 0 < len(tokens[0]) <= _LONGEST_TOKEN:
            return self._refused(Word.MALFORMED)
        headers = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
        return Verdict(Answer(200, tokens[0].encode(errors="replace"), headers), Word.CHALLENGE)

    def _is_ours(self, notification: object) -> bool:
        shown = notification.get("clientState") if isinstance(notification, dict) else None
        written = shown.encode(errors="replace") if isinstance(shown, str) else b""
        return self._state is not None and hmac.compare_digest(written, self._state)


def _notifications(body: bytes) -> list[object] | None:
    """Return those in *body*, of changes and of the subscription's own life; None where there are none."""
    try:
        document = decode(body)
    except MalformedJsonError:
        return None
    value = document.get("value") if isinstance(document, dict) else None
    return value if isinstance(value, list) and value else None


KIND: Final = Kind(
    "graph",
    Settings,
    Graph,
    (USER_DISABLED, USER_ENABLED),
    proves_itself=True,
    pull="tasks.doors.graph_pull:GraphPull",
)
