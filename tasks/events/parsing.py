"""From the bytes of a message to an event, or to the reason why it is none."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from pydantic import TypeAdapter, ValidationError

from tasks.events.content_mode import MAX_BODY, UnreadableError, keeps_utf8, read_envelope
from tasks.events.fields import EventId, Source
from tasks.events.model import EVENT_TYPES, CloudEvent, Event
from tasks.events.plaintext import is_plaintext, may_hold_token, plaintext_path
from tasks.events.rejection import InvalidEvent, Path, RejectionCode, json_pointer
from tasks.events.subjects import UNKNOWN_FORMAT
from tasks.instants import expiry_of
from tasks.strict_json import MalformedJsonError, decode

MAX_AHEAD: Final = timedelta(seconds=300)
"""How far a producer's clock may run ahead of ours."""

_CODES: Final[Mapping[object, RejectionCode]] = {
    "specversion": RejectionCode.NOT_CLOUDEVENTS,
    "id": RejectionCode.NOT_CLOUDEVENTS,
    "source": RejectionCode.NOT_CLOUDEVENTS,
    "type": RejectionCode.NOT_CLOUDEVENTS,
    "time": RejectionCode.INVALID_TIME,
}
_ID: Final[TypeAdapter[str]] = TypeAdapter(EventId)
_SOURCE: Final[TypeAdapter[str]] = TypeAdapter(Source)


def parse_event(
    body: bytes, *, now: datetime, content_type: str | None = None, headers: Mapping[str, object] | None = None
) -> Event | InvalidEvent:
    """Return the event that a message carries, or why it carries none. Never raises on input.

    *now* is an aware datetime. The content mode follows from *content_type* and *headers*: CloudEvents 1.0 structured
    JSON (`application/cloudevents+json`, or plain JSON without CloudEvents headers), or binary with attributes in
    headers named `ce-…`, `cloudEvents_…` or `cloudEvents:…`. Both obey `contracts/event.schema.json`; an event is
    also refused when its `time` lies more than 300 s ahead of *now* or its `expirytime` lies behind it.
    """
    try:
        document = read_envelope(body, content_type, headers or {})
    except UnreadableError as error:
        storable = error.code is RejectionCode.NOT_CLOUDEVENTS and is_storable(body, content_type)
        return _refused(error.code, error.path, error.attributes, body_storable=storable)
    path = plaintext_path(document)
    if path is not None:
        return _refused(RejectionCode.PLAINTEXT_TOKEN, path, document, body_storable=False)
    if not isinstance(document, dict):
        return _refused(RejectionCode.NOT_CLOUDEVENTS, (), document, body_storable=_is_harmless(document))
    event = _validated(document)
    return event if isinstance(event, InvalidEvent) else _timely(event, document, now)


def is_storable(body: bytes, content_type: str | None) -> bool:
    """Tell whether *body* is proved to hold no token in clear; a body that cannot be read may hold one.

    Proved is what is plain UTF-8 JSON of a bounded size, in which nothing is named or looks like a token.
    """
    try:
        document = decode(body) if len(body) <= MAX_BODY and keeps_utf8(content_type) else None
    except MalformedJsonError:
        return False
    return document is not None and plaintext_path(document) is None and _is_harmless(document)


def _is_harmless(document: object) -> bool:
    """Whether nothing in *document*, in which no token was found, may be one all the same."""
    return not may_hold_token(document) and _coded_data(document) is None


def _coded_data(document: object) -> str | None:
    """The member that CloudEvents' JSON format has for data of any kind (section 3.1.1), however it is spelt."""
    names = document if isinstance(document, Mapping) else ()
    return next((name for name in names if name.casefold() == "data_base64"), None)


def _validated(document: Mapping[str, object]) -> Event | InvalidEvent:
    if (coded := _coded_data(document)) is not None:
        return _refused(RejectionCode.INVALID_REQUEST, (coded,), document)
    name = document.get("type")
    known = EVENT_TYPES.get(name) if isinstance(name, str) else None
    code: RejectionCode = RejectionCode.UNSUPPORTED_TYPE
    path: Path = ("type",)
    try:
        if known is not None:
            return known.model.model_validate(document)
        CloudEvent.model_validate(document)
    except ValidationError as error:
        fault, place = _first_fault(error)
        if known is not None or fault is RejectionCode.NOT_CLOUDEVENTS:
            code, path = fault, place
    return _refused(code, path, document)


def _first_fault(error: ValidationError) -> tuple[RejectionCode, Path]:
    fault = error.errors(include_url=False, include_context=False)[0]
    # `<…>` is the chosen branch of a union, which is no place in the event.
    path = tuple(step for step in fault["loc"] if not str(step).startswith("<"))
    if fault["type"] == UNKNOWN_FORMAT and isinstance(fault["input"], dict):
        path = (*path, "format")
    return _CODES.get(path[0], RejectionCode.INVALID_REQUEST), path


def _timely(event: Event, document: Mapping[str, object], now: datetime) -> Event | InvalidEvent:
    if event.time - now > MAX_AHEAD:
        return _refused(RejectionCode.INVALID_TIME, ("time",), document, body_storable=True)
    expirytime = expiry_of(event.expirytime, event.time)
    if expirytime is not None and expirytime < now:
        return _refused(RejectionCode.STALE, ("expirytime",), document, body_storable=True)
    return event


def _refused(code: RejectionCode, path: Path, document: object, *, body_storable: bool | None = None) -> InvalidEvent:
    attributes = document if isinstance(document, Mapping) else {}
    return InvalidEvent(
        code=code,
        pointer=json_pointer(path),
        body_storable=_is_harmless(document) if body_storable is None else body_storable,
        source=_if_valid(_SOURCE, attributes.get("source")),
        event_id=_if_valid(_ID, attributes.get("id")),
    )


def _if_valid(field: TypeAdapter[str], value: object) -> str | None:
    try:
        text = field.validate_python(value, strict=True)
    except ValidationError:
        return None
    return None if is_plaintext(text) else text
