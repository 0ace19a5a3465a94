"""What the events of Keycloak mean here, in the layouts in which two extensions send them.

Keycloak has events of administrators (a resource and what was done to it) and of users at a client. An administrator's
update shows what was sent, and not what changed: `"enabled": false` may be in it again and again.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from tasks.doors.door import ForeignEvent, Word
from tasks.doors.sessions import session_ended
from tasks.doors.tokens import number
from tasks.events import USER_DISABLED
from tasks.strict_json import MalformedJsonError, decode

LOGOUT: Final = "LOGOUT"
OF_USERS: Final = ("DELETE_ACCOUNT", "USER_DISABLED_BY_PERMANENT_LOCKOUT", LOGOUT)
_UPDATE: Final = "USER-UPDATE"
_RESOURCES: Final = {  # what an administrator did to a user, and to which resource
    _UPDATE: re.compile(r"users/([^/]+)"),
    "USER-DELETE": re.compile(r"users/([^/]+)"),
    "USER-ACTION": re.compile(r"users/([^/]+)/logout"),  # ends all sessions of the user
}
_ACCESS: Final = "access."  # before the types of users' events, as webhooks have them


@dataclass(frozen=True, slots=True)
class Realm:
    """Whose events are told, and how."""

    names: frozenset[str]  # its name and its id: some events have the one, some the other
    issuer: str
    ends_whole_user: bool
    ends_sessions: bool = False


def told(document: Mapping[str, Any], realm: Realm) -> ForeignEvent | Word:
    """Return our event of Keycloak's; else in a word why there is none."""
    if document.get("error") or realm.names.isdisjoint(_texts(document.get("realmId"), document.get("realmName"))):
        return Word.NOTHING
    found = _of_administrator(document) if "operationType" in document else _of_user(document, realm)
    if isinstance(found, Word):
        return found
    reason, user = found
    at = _happened(document.get("time"))
    if at is None or not isinstance(user, str) or not user:
        return Word.MALFORMED
    sub_id = {"format": "iss_sub", "iss": realm.issuer, "sub": user}
    if reason != _ACCESS + LOGOUT or not realm.ends_sessions:
        return ForeignEvent(USER_DISABLED, _name(document), at, {"sub_id": sub_id, "reason": reason})
    session = document.get("sessionId") or _details(document).get("sessionId")
    if not isinstance(session, str) or not session:
        return Word.MALFORMED
    return session_ended(_name(document), at, (realm.issuer, session), reason, sub_id)


def _of_administrator(document: Mapping[str, Any]) -> tuple[str, object] | Word:
    """Return the reason and the user; NOTHING where nobody is out by it, MALFORMED where it does not say."""
    done = f"{document.get('resourceType')}-{document.get('operationType')}"
    resource, path = _RESOURCES.get(done), document.get("resourcePath")
    match = resource.fullmatch(path) if resource and isinstance(path, str) else None
    if match is None:
        return Word.NOTHING
    enabled = _enabled(document.get("representation")) if done == _UPDATE else False
    if isinstance(enabled, Word):
        return enabled
    return (f"admin.{done}", match[1]) if enabled is False else Word.NOTHING


def _enabled(representation: object) -> object:
    """What an update says of `enabled`; None where nothing, MALFORMED where its representation is not there."""
    try:
        user = decode(representation.encode()) if isinstance(representation, str) else representation
    except (MalformedJsonError, UnicodeEncodeError):
        return Word.MALFORMED
    return user.get("enabled") if isinstance(user, dict) else Word.MALFORMED


def _of_user(document: Mapping[str, Any], realm: Realm) -> tuple[str, object] | Word:
    kind = document.get("type")
    if not isinstance(kind, str) or (kind := kind.removeprefix(_ACCESS)) not in OF_USERS:
        return Word.NOTHING
    if kind == LOGOUT and not (realm.ends_whole_user or realm.ends_sessions):
        return Word.UNKNOWN  # of one session: which tokens are of it is not known here
    return _ACCESS + kind, (_details(document) or document).get("userId")


def _details(document: Mapping[str, Any]) -> Mapping[str, Any]:
    details = document.get("authDetails")
    return details if isinstance(details, dict) else {}


def _name(document: Mapping[str, Any]) -> str:
    """What Keycloak calls the event: a webhook's send, the event itself, or its content where it has no name."""
    names = _texts(document.get("uid"), document.get("id"))
    return names[0] if names else sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _happened(milliseconds: object) -> datetime | None:
    is_number = isinstance(milliseconds, int) and not isinstance(milliseconds, bool)
    seconds = number(milliseconds / 1000) if is_number and abs(milliseconds) < 2**60 else math.nan  # type: ignore[operator, arg-type]
    return datetime.fromtimestamp(seconds, UTC) if seconds >= 0 else None


def _texts(*values: object) -> list[str]:
    return [each for each in values if isinstance(each, str) and each]
