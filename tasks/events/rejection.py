"""Why an event was refused: a code and a place, never a value."""

import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from typing import Final

Path = tuple[str | int, ...]
"""Member names and array positions, from the whole event inwards."""

_PRINTABLE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")


class RejectionCode(StrEnum):
    """The closed set of codes; each is the tail of a dead letter's reason, `event.<code>`."""

    TOO_LARGE = "too_large"
    MALFORMED_JSON = "malformed_json"
    NOT_CLOUDEVENTS = "not_cloudevents"
    UNSUPPORTED_TYPE = "unsupported_type"
    INVALID_REQUEST = "invalid_request"
    INVALID_TIME = "invalid_time"
    ACCESS_DENIED = "access_denied"
    PLAINTEXT_TOKEN = "plaintext_token"  # noqa: S105 (a code, not a token)
    STALE = "stale"
    ID_CONFLICT = "id_conflict"
    NO_REGISTRY = "no_registry"


@dataclass(frozen=True, slots=True)
class InvalidEvent:
    """A refused event. Safe to log, store and show: it holds nothing of the body but a valid source and id."""

    code: RejectionCode
    pointer: str
    """RFC 6901 pointer into the structured form of the event; "" means the whole of it."""
    body_storable: bool
    """False when the body holds, or may hold, a token in clear: keep its hash and size, never the body."""
    source: str | None = None
    event_id: str | None = None


def json_pointer(path: Path) -> str:
    """Return *path* as an RFC 6901 pointer, ending before the first name that is not a short plain word.

    Producers choose the names of unknown members, so a name may hold anything; short plain words need no escaping.
    """
    plain = takewhile(lambda step: isinstance(step, int) or _PRINTABLE_NAME.fullmatch(step), path)
    return "".join(f"/{step}" for step in plain)
