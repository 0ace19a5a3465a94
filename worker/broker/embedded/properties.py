"""What travels with a body: content type, encoding, headers and properties, as JSON in one column."""

import json
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from worker.broker.pyamqp import DEEPEST, is_readable, legible_part

MAX_DELAY_MS: Final = 2**32 - 1  # as https://github.com/rabbitmq/rabbitmq-delayed-message-exchange


@dataclass(frozen=True, slots=True)
class MessageProperties:
    """A message's metadata; dates and bytes inside headers and properties keep their type."""

    content_type: str | None
    content_encoding: str | None
    headers: dict[str, Any]
    properties: dict[str, Any]

    def dump(self) -> str:
        """Return the JSON text to store; raises TypeError for what AMQP tables could not carry either."""
        stored = {
            "content_type": self.content_type,
            "content_encoding": self.content_encoding,
            "headers": self.headers,
            "properties": self.properties,
        }
        return _encode(stored)

    @classmethod
    def load(cls, text: str) -> "MessageProperties":
        """Return the properties stored as *text*; without what nobody can read in it, as with RabbitMQ."""
        try:
            stored = json.loads(text, object_hook=_untagged)
        except (ValueError, RecursionError):
            stored = {}
        if not isinstance(stored, dict):
            stored = {}
        known = stored if is_readable(stored, DEEPEST + 2) else legible_part(stored, DEEPEST + 2)
        tables = (known.get("headers"), known.get("properties"))
        headers, properties = (table if isinstance(table, dict) else {} for table in tables)
        return cls(_text(known.get("content_type")), _text(known.get("content_encoding")), headers, properties)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def delay_of(headers: Mapping[str, Any]) -> float:
    """Seconds asked for by the header `x-delay` (milliseconds), 0 without one; ValueError when it is no such number."""
    delay = headers.get("x-delay", 0)
    if isinstance(delay, bool) or not isinstance(delay, int) or not 0 <= delay <= MAX_DELAY_MS:
        raise ValueError(f"header x-delay must be whole milliseconds between 0 and {MAX_DELAY_MS}")
    return delay / 1000


def _tagged(value: object) -> dict[str, Any]:
    match value:
        case datetime():
            # As AMQP has them: without a zone they are in UTC.
            return {"$time": (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()}
        case bytes() | bytearray() | memoryview():
            return {"$bytes": b64encode(value).decode()}
        case _:
            raise TypeError(f"a header or property cannot carry a {type(value).__name__}")


def _untagged(table: dict[str, Any]) -> object:
    # A publisher may have meant such a table literally: what does not decode stays what it was.
    try:
        match table:
            case {"$time": str(moment), **others} if not others:
                return datetime.fromisoformat(moment)
            case {"$bytes": str(text), **others} if not others:
                return b64decode(text, validate=True)
    except (ValueError, Base64Error):
        return table
    return table


_encode: Final = json.JSONEncoder(default=_tagged, separators=(",", ":")).encode
