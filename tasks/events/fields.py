"""The scalar fields of the event contract, each with the bounds that `contracts/event.schema.json` sets."""

import re
from datetime import datetime
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, Field, GetCoreSchemaHandler, PlainSerializer, PlainValidator
from pydantic_core import CoreSchema

from tasks.events.rfc3339 import parse_instant
from tasks.events.rfc3986 import uri_reference


class _NullRefused:
    """Of `T | None`, accept T only: None is what a reader sees for an absent member, never what a producer sends."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        present: CoreSchema = schema["schema"] if schema["type"] == "nullable" else schema
        return present


T = TypeVar("T")
Maybe = Annotated[T | None, _NullRefused()]
"""A member that may be absent, but not null."""


class Open(BaseModel, frozen=True, strict=True, extra="allow", hide_input_in_errors=True):
    """An object whose unknown members are kept as they came."""


class Closed(BaseModel, frozen=True, strict=True, extra="forbid", hide_input_in_errors=True):
    """An object that has no unknown members."""


# W3C Trace Context section 3.2: ff and all zeros are invalid; versions after 00 may append fields.
_TRACEPARENT: Final = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<appended>-.*)?",
    re.DOTALL,
)


def _trace_or_nothing(text: str) -> str | None:
    match = _TRACEPARENT.fullmatch(text)
    return text if match and not (match["version"] == "00" and match["appended"]) else None


Instant = Annotated[datetime, PlainValidator(parse_instant), PlainSerializer(datetime.isoformat, when_used="json")]
"""An aware datetime in UTC."""
EventId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
Source = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(uri_reference)]
Traceparent = Annotated[str, Field(max_length=128), AfterValidator(_trace_or_nothing)]
"""W3C trace context; an invalid one is read as None and never a reason to refuse an event."""
ProviderName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
UserId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._@|:-]+$")]
Reason = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]
InitiatingEntity = Literal["admin", "user", "policy", "system"]
Text128 = Annotated[str, Field(min_length=1, max_length=128)]
Text256 = Annotated[str, Field(min_length=1, max_length=256)]
Text512 = Annotated[str, Field(min_length=1, max_length=512)]
