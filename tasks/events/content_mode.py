"""From a message to one JSON object: the structured and binary content modes of the CloudEvents 1.0 bindings."""

import base64
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from tasks.events.plaintext import plaintext_path
from tasks.events.rejection import Path, RejectionCode
from tasks.strict_json import MAX_DEPTH, MalformedJsonError, decode

MAX_BODY: Final = 65536
"""Bytes an event may have; in binary mode its attributes count too."""

# AMQP binding section 3.1.3.1 writes `cloudEvents_` or `cloudEvents:`, the HTTP binding `ce-`.
_PREFIX: Final = re.compile(r"ce-|cloudEvents[_:]", re.IGNORECASE)
_TEXTS: Final = frozenset({"specversion", "id", "source", "type", "subject", "datacontenttype", "dataschema"})
_STRUCTURED: Final = "application/cloudevents+json"

Attributes = dict[str, object]


class UnreadableError(ValueError):
    """A message that does not yield one JSON value; *attributes* are those that its headers hold all the same."""

    def __init__(self, code: RejectionCode, path: Path = (), attributes: Attributes | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.path = path
        self.attributes = attributes or {}


def read_envelope(body: bytes, content_type: str | None, headers: Mapping[str, object]) -> object:
    """Return the event as the JSON value of structured mode, whichever mode it came in. Raises UnreadableError."""
    if len(body) > MAX_BODY:
        raise UnreadableError(RejectionCode.TOO_LARGE)
    canonical = _canonical(content_type or "")
    prefixed = _prefixed(headers)
    if prefixed and not canonical.startswith("application/cloudevents"):
        return _binary(body, canonical, prefixed)
    return _structured(body, canonical)


def attribute_headers(headers: Mapping[str, object]) -> dict[str, str | int | bool]:
    """Return those of *headers* that carry CloudEvents attributes, in JSON's types: what a replay must send again.

    One that holds a token in clear is left out: no event with such a one is ever taken, so no replay needs it.
    """
    attributes = {name: _as_json(name[_end(name) :].lower(), value) for name, value in headers.items() if _end(name)}
    return {
        name: value
        for name, value in attributes.items()
        if isinstance(value, str | int | bool) and plaintext_path({name[_end(name) :]: value}) is None
    }


def keeps_utf8(content_type: str | None) -> bool:
    """Tell whether *content_type* names no charset but UTF-8."""
    parameters = (part.partition("=") for part in _canonical(content_type or "").split("; "))
    return all(name != "charset" or value == "utf-8" for name, _, value in parameters)


def _structured(body: bytes, content_type: str) -> object:
    if content_type.partition("; ")[0] not in {_STRUCTURED, "application/json", ""} or not keeps_utf8(content_type):
        raise UnreadableError(RejectionCode.NOT_CLOUDEVENTS)
    return _decoded(body, MAX_DEPTH, {})


def _binary(body: bytes, content_type: str, prefixed: list[tuple[str, object]]) -> dict[str, object]:
    attributes = _merged([*prefixed, ("datacontenttype", content_type)] if content_type else prefixed)
    if len(body) + _size(attributes) > MAX_BODY:
        raise UnreadableError(RejectionCode.TOO_LARGE, (), attributes)
    # The event around the data is a level of its own.
    return {**attributes, "data": _decoded(body, MAX_DEPTH - 1, attributes)}


def _decoded(body: bytes, max_depth: int, attributes: Attributes) -> object:
    try:
        return decode(body, max_depth=max_depth)
    except MalformedJsonError:
        raise UnreadableError(RejectionCode.MALFORMED_JSON, (), attributes) from None


def _canonical(content_type: str) -> str:
    # Types, parameter names and charsets are case-insensitive and may be quoted (RFC 9110 section 8.3).
    return "; ".join(part.strip() for part in content_type.lower().replace('"', "").split(";"))


def _end(name: str) -> int:
    match = _PREFIX.match(name)
    return match.end() if match else 0


def _prefixed(headers: Mapping[str, object]) -> list[tuple[str, object]]:
    return [(name[end:].lower(), value) for name, value in headers.items() if (end := _end(name))]


def _merged(prefixed: Iterable[tuple[str, object]]) -> Attributes:
    attributes: Attributes = {}
    for name, raw in prefixed:
        value = _as_json(name, raw)
        if not _is_attribute(name, value) or attributes.setdefault(name, value) != value:
            raise UnreadableError(RejectionCode.NOT_CLOUDEVENTS, (name,))
    return attributes


def _as_json(name: str, value: object) -> object:
    """An attribute as JSON has it (CloudEvents 1.0, section 3). CloudEvents' own ones are text, but for the times.

    The AMQP client reads timestamps as naive datetimes in UTC.
    """
    if name in _TEXTS:
        return value
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes | bytearray | memoryview) else value


def _is_attribute(name: str, value: object) -> bool:
    if name == "data" or not is_text(name):
        return False
    return is_text(value) if isinstance(value, str) else value is None or isinstance(value, bool | int)


def is_text(value: str) -> bool:
    """Whether *value* is Unicode: the AMQP client lets lone surrogates through, UTF-8 does not."""
    return value.encode(errors="ignore").decode() == value


def _size(attributes: Attributes) -> int:
    return sum(len(name.encode()) + len(str(value).encode()) for name, value in attributes.items())
