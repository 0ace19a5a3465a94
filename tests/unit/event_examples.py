"""The published examples, edited by tests, and what must be said of those that are refused."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from tasks.events import Event, InvalidEvent, parse_event

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)
MARKER = "MARKER-7f3a"
JWS = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln"
CONTRACTS = resources.files("tasks") / "contracts"
STRUCTURED = "application/cloudevents+json"
Edit = Callable[[dict[str, Any]], object]


def example(kind: str, edit: Edit = lambda _: None) -> dict[str, Any]:
    """Return the published example of one type, edited."""
    document: dict[str, Any] = json.loads((CONTRACTS / f"{kind}.json").read_bytes())
    edit(document)
    return document


def ended(edit: Edit = lambda _: None) -> Any:
    """Parse the edited example of session.ended."""
    return parse_event(json.dumps(example("session.ended", edit)).encode(), now=NOW)


def refused(event: object) -> InvalidEvent:
    """Return what must be a refusal, and give no value away."""
    assert isinstance(event, InvalidEvent)
    assert MARKER not in repr(event)
    return event


def fault(event: object) -> tuple[str, str]:
    """Return code and pointer of what must be a refusal."""
    return (refusal := refused(event)).code.value, refusal.pointer


def binary(prefix: str, kind: str = "user.disabled") -> tuple[bytes, dict[str, object]]:
    """Return the example in binary mode: the data, and the attributes as headers."""
    document = example(kind)
    data = json.dumps(document.pop("data")).encode()
    document.pop("datacontenttype")
    return data, {f"{prefix}{name}": value for name, value in document.items()}


def parts(user: object) -> dict[str, Any]:
    """Return a complex subject with one part."""
    return {"format": "complex", "user": user}


def event_document(event: Event) -> dict[str, Any]:
    """Return *event* as a structured CloudEvents JSON object, which `parse_event` reads back as an equal event."""
    document = event.model_dump(mode="json", exclude_unset=True)
    if event.traceparent is None:
        # An invalid trace context was read as None, and null is not what the contract allows for "none".
        document.pop("traceparent", None)
    return document
