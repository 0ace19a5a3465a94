"""Drafts: events as people write them, made whole, sealed, and judged as the intake would."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tasks.events import InvalidEvent, parse_event
from tasks.sealing import SealError

SOURCE: Final = "urn:revoker:cli"

Seal = Callable[[str, str], str]  # token, provider instance → compact JWE
Draft = Mapping[str, Any]


class DraftError(Exception):
    """A draft that is no event: a code and a place in it, or one sentence; never a value."""


@dataclass(frozen=True, slots=True)
class SealedEvent:
    """An event that the intake will take: no token in clear in it."""

    event_id: str
    event_type: str
    document: Mapping[str, Any]

    @property
    def body(self) -> bytes:
        """It as structured CloudEvents JSON."""
        return json.dumps(self.document, separators=(",", ":")).encode()


def finish_draft(draft: Draft, seal: Seal, source: str = SOURCE) -> SealedEvent:
    """The event of *draft*: tokens sealed, what is obvious filled in. Raises DraftError for what the intake refuses."""
    obvious = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": source, "time": datetime.now(UTC).isoformat()}
    document = _sealed({**obvious, **draft}, seal)
    event = parse_event(json.dumps(document).encode(), now=datetime.now(UTC))
    if isinstance(event, InvalidEvent):
        raise DraftError(f"{event.code.value} at {event.pointer or 'the whole event'}")
    return SealedEvent(event.id, event.type, document)


def read_draft(line: str) -> Draft:
    """The draft in a line of JSON. Raises DraftError, without the line."""
    try:
        draft = json.loads(line)
    except (ValueError, RecursionError):
        raise DraftError("malformed_json") from None
    if not isinstance(draft, dict):
        raise DraftError("not_cloudevents at the whole event")
    return draft


def _sealed(document: dict[str, Any], seal: Seal) -> dict[str, Any]:
    """*document* with its sessions' tokens sealed. Other shapes stay: `parse_event` judges them afterwards."""
    data = document.get("data")
    sessions = data.get("sessions") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(sessions, list):
        return document
    return document | {"data": data | {"sessions": [_sealed_session(session, seal) for session in sessions]}}


def _sealed_session(session: Any, seal: Seal) -> Any:  # noqa: ANN401 - whatever the draft holds there
    match session:
        case {"provider": str(provider), "credential": {"token": str(token), **others}} if not others:
            try:
                return session | {"credential": {"jwe": seal(token, provider)}}
            except SealError as error:
                raise DraftError(str(error)) from None
        case _:
            return session
