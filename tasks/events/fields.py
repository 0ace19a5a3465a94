"""The scalar fields of the event contract, each with the bounds that `contracts/event.schema.json` sets."""

import re
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema

from tasks.trace_context import traceparent_or_nothing


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


_PCHAR: Final = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
_NAME: Final = r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*"
_USER: Final = r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*"
_IP_LITERAL: Final = r"\[(?:[0-9A-Fa-f:.]+|v[0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+)\]"

_URI_REFERENCE: Final = re.compile(
    # A scheme, or a first segment that cannot be mistaken for one (section 4.2).
    r"(?:[A-Za-z][A-Za-z0-9+.-]*:|(?![^/?#]*:))"
    rf"(?://(?:{_USER}@)?(?:{_IP_LITERAL}|{_NAME})(?::[0-9]*)?(?:/{_PCHAR}*)*|(?!//)(?:{_PCHAR}|/)*)"
    rf"(?:\?(?:{_PCHAR}|[/?])*)?(?:#(?:{_PCHAR}|[/?])*)?"
)


def uri_reference(text: str) -> str:
    """Return *text*, a URI reference by the grammar of RFC 3986 section 4.1.

    The digits inside a bracketed IPv6 address are not counted. Raises ValueError, without the text, for all else.
    """
    if _URI_REFERENCE.fullmatch(text) is None:
        raise ValueError("not a URI reference")
    return text


EventId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
Source = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(uri_reference)]
Traceparent = Annotated[str, Field(max_length=128), AfterValidator(traceparent_or_nothing)]
"""W3C trace context; an invalid one is read as None and never a reason to refuse an event."""
ProviderName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
UserId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._@|:-]+$")]
Reason = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]
InitiatingEntity = Literal["admin", "user", "policy", "system"]
Text128 = Annotated[str, Field(min_length=1, max_length=128)]
Text256 = Annotated[str, Field(min_length=1, max_length=256)]
Text512 = Annotated[str, Field(min_length=1, max_length=512)]
