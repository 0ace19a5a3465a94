"""W3C Trace Context: the one form in which a trace is named, in events, calls and headers of messages."""

import re
from typing import Final

LENGTH: Final = 55  # characters that every version begins with
# Section 3.2 of https://www.w3.org/TR/trace-context-1/: lower-case hex; ff and all zeros are invalid; versions after 00
# may append fields.
_TRACEPARENT: Final = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    r"(?P<appended>-.*)?",
    re.DOTALL,
)


def traceparent_or_nothing(text: str) -> str | None:
    """*text*, where it is a valid `traceparent`."""
    match = _TRACEPARENT.fullmatch(text)
    return text if match and not (match["version"] == "00" and match["appended"]) else None


def trace_id_of(traceparent: str | None) -> str | None:
    """The id of the trace that *traceparent* names, 32 hex digits; None where it is none."""
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return match["trace"] if match else None
